"""Choose the tokens that a student keeps of its base's vocabulary, and say what the cut costs.

    .venv-engine/bin/python -m models.studies.vocabulary --size 12288 --before 2021-07-01 \\
        --out vocabulary.json huffpost.jsonl.gz queries.jsonl.gz
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.packaging.gguf import tokenizer_of
from models.packaging.packaged import base_named_in, packaged_file
from models.packaging.registry import BASE_STUDENT, find_student
from models.packaging.vocabulary import (
    choose_tokens,
    cut_tokenizer,
    token_counts,
    write_vocabulary,
)
from service.errors import ConfigurationError
from service.files import open_plain
from service.records import DOMAINS

_IN_EVERY_PROMPT = ("system", "user", "assistant", *DOMAINS, *(f" {name}" for name in DOMAINS))
"""The roles of the chat form that the base knows, and the words for where a signal comes from."""


def _texts(path: str, before: str) -> Iterator[tuple[bool, str]]:
    """The texts of a file of JSON lines, and whether they may be chosen by.

    Raises `ConfigurationError` that names the file, and the line where one is at fault.
    """
    try:
        with open_plain(path) as file:
            for number, line in enumerate(file, start=1):
                try:
                    found = _texts_of(json.loads(line), before)
                except (ValueError, KeyError, TypeError):
                    problem = "neither an article nor a query"
                    raise ConfigurationError(f"{path}:{number}: {problem}") from None
                yield from found
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error


def _texts_of(row: dict[str, str], before: str) -> list[tuple[bool, str]]:
    """Articles (`title`, `abstract`, `published`) may be chosen by if they are older than `before`.

    Of queries (`query`, perhaps `source`) that name another source than Natural Questions, none is
    read: its terms let a student that was made from them ship.
    """
    if "query" in row:
        return [(True, row["query"])] if row.get("source", "nq") == "nq" else []
    old = row["published"] < before
    return [(old, row[name]) for name in ("title", "abstract") if row.get(name)]


def main() -> None:
    """Choose a vocabulary of the base by the texts of files, write it, and say what it costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", help="articles or queries, JSON lines, maybe gzipped")
    parser.add_argument("--size", type=int, required=True, help="tokens to keep")
    parser.add_argument("--out", type=Path, required=True, help="the vocabulary file to write")
    parser.add_argument("--before", default="9999", help="hold out articles from this day on")
    arguments = parser.parse_args()
    try:
        _choose(arguments.files, arguments.size, arguments.out, arguments.before)
    except ConfigurationError as error:
        parser.error(str(error))


def _choose(files: Sequence[str], size: int, out: Path, before: str) -> None:
    # Whoever builds a student has the file.
    from gguf import GGUFReader

    texts = [text for path in files for text in _texts(path, before)]
    base = base_named_in(find_student(BASE_STUDENT).folder)
    tokenizer = tokenizer_of(GGUFReader(packaged_file(base)))
    kept = choose_tokens(tokenizer, (text for old, text in texts if old), size, _IN_EVERY_PROMPT)
    write_vocabulary(out, tokenizer, kept)
    cut = cut_tokenizer(tokenizer, kept)
    for name, which in (("chosen by", True), ("held out", False)):
        some = [text for old, text in texts if old is which]
        full, short = (token_counts(words, some).total() for words in (tokenizer, cut))
        more = short / full - 1 if full else 0.0
        sys.stdout.write(f"{name}: {len(some)} texts, {full} tokens, cut {short} (+{more:.1%})\n")


if __name__ == "__main__":
    main()
