#!/usr/bin/env bash
# tantivy: a writer that is killed between a deletion and its commit can stop every later deletion.
#
# tantivy 0.27.0 (PyPI). A deletion is written to `SEGMENT.OPSTAMP.del` before the commit is. The
# number goes on from the last commit, so a process that does the same after a kill writes a file
# of the same name, and tantivy opens it for new files only.
#
# Guessed: what was never committed is overwritten, or collected as garbage when a writer opens.
# Seen on 2026-11-27: `ValueError: Failed to open file for write: 'FileAlreadyExists("….del")'` from
# commit(), again at every try, until somebody removes the file. Searches go on.
#
# The kill is played: a twin of the index makes the deletion, and its file is put where a killed
# process would have left it. Fails if commit() no longer raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tantivy==0.27.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import shutil
import sys
from pathlib import Path

import tantivy

folder = Path(sys.argv[1])
builder = tantivy.SchemaBuilder()
builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
schema = builder.build()


def delete_one(path: Path) -> None:
    writer = tantivy.Index.open(str(path)).writer(50_000_000, 1)
    writer.delete_documents_by_term("id", "a")
    writer.commit()
    writer.wait_merging_threads()


ours, twin = folder / "ours", folder / "twin"
ours.mkdir()
writer = tantivy.Index(schema, path=str(ours)).writer(50_000_000, 1)
for name in ("a", "b"):
    writer.add_document(tantivy.Document(id=name))
writer.commit()
writer.wait_merging_threads()

shutil.copytree(ours, twin)
delete_one(twin)
(made,) = twin.glob("*.del")
shutil.copy(made, ours)  # written by a process that was killed before its commit
for attempt in (1, 2):
    try:
        delete_one(ours)
    except ValueError as error:
        print(f"attempt {attempt}: {error}")
        assert "FileAlreadyExists" in str(error)
    else:
        sys.exit("commit() wrote over it: this has changed")
(ours / made.name).unlink()
delete_one(ours)
print("with the file removed the same deletion is committed")
PY
