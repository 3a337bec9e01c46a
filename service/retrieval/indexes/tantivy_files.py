"""The embedded index on disk: its schema, its generations, and which of them is live.

<folder>/current → generation-1795389123456     a symbolic link, switched by a rename
<folder>/generation-1795389123456/              tantivy's files, and vectors: see `tantivy_vectors`
<folder>/building-…/                            a load under way, or killed
<folder>/opening-…/                             a reader's copy, until it is open
<folder>/lock                                   held by whoever writes
"""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import orjson
from tantivy import Index, Schema, SchemaBuilder

from service.errors import ConfigurationError, OtherLanguage, RetrievalUnavailable
from service.languages import ENGLISH, LANGUAGES, Language
from service.retrieval.indexes.analysis import (
    FIELDS,
    build_analyzer,
    definition,
    schema_version,
    stemmed_as,
)
from service.retrieval.indexes.tantivy_copy import META, OPENING

ANALYZER = "news"
FILLED = "filled"
"""Holds the names of an article's fields that are not empty: Lucene's statistics of a field are
those of the documents that have it, tantivy's those of all documents."""

ANY = "*"
"""In `FILLED` of every document."""

_ABOUT = "interests.json"


@cache
def build_schema() -> Schema:
    """The fields that `mapping.json` lets OpenSearch search, filter, sort and return."""
    builder = SchemaBuilder()
    builder.add_text_field("id", stored=True, fast=True, tokenizer_name="raw", index_option="basic")
    for field, _ in FIELDS:
        builder.add_text_field(
            field, stored=field == "title", tokenizer_name=ANALYZER, index_option="freq"
        )
    builder.add_text_field(FILLED, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("category", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("published", stored=True, indexed=True, fast=True)
    builder.add_float_field("popularity", stored=True, indexed=True, fast=True)
    return builder.build()


def create(folder: Path, language: Language = ENGLISH) -> Index:
    """A new empty index in a new folder."""
    folder.mkdir(parents=True)
    (folder / _ABOUT).write_bytes(orjson.dumps(_about(language)))
    index = Index(build_schema(), path=str(folder))
    index.register_tokenizer(ANALYZER, build_analyzer(language))
    return index


def open_generation(folder: Path, language: Language = ENGLISH) -> Index:
    """An existing index. Raises `RetrievalUnavailable` if another definition built it."""
    require_our_definition(folder, language)
    return open_files(folder, language)


def require_our_definition(folder: Path, language: Language = ENGLISH) -> None:
    """Return if our mapping and the language's analysis built it. Raises `RetrievalUnavailable`."""
    try:
        about = orjson.loads((folder / _ABOUT).read_bytes())
    except ValueError:
        about = None
    if about == _about(language):
        return
    built = stemmed_as(about.get("analysis")) if isinstance(about, dict) else None
    if built in LANGUAGES and built != language:
        raise OtherLanguage(f"the index in {folder.parent}", built, language)
    raise RetrievalUnavailable(
        f"the index in {folder.parent} was built with another mapping or analysis: "
        "rebuild it with `interests index load FILE…`"
    )


def open_files(folder: Path, language: Language = ENGLISH) -> Index:
    """The index of the files in a folder, whoever built it. Raises `OSError` or `ValueError`."""
    index = Index.open(str(folder))
    index.register_tokenizer(ANALYZER, build_analyzer(language))
    index.config_reader(reload_policy="manual")
    return index


def live(folder: Path) -> Path:
    """The live generation. Raises `RetrievalUnavailable` when there is none."""
    try:
        return folder / (folder / "current").readlink()
    except OSError as error:
        raise RetrievalUnavailable(
            f"there is no article index in {folder}: load one with `interests index load FILE…`"
        ) from error


def stamp(generation: Path) -> str:
    """A word that changes with every commit: tantivy replaces `meta.json` by a rename."""
    meta = (generation / META).stat()
    return f"{generation.name}:{meta.st_ino}:{meta.st_mtime_ns}"


def state(generation: Path) -> tuple[tuple[str, int, int], ...]:
    """The name, size and time of every file: it changes when one of them is written in place."""
    found = [(path.name, path.stat()) for path in generation.iterdir()]
    return tuple(sorted((name, is_.st_size, is_.st_mtime_ns) for name, is_ in found))


def new_folder(folder: Path) -> Path:
    """Where the next load builds; what killed loads and readers left behind is removed."""
    for left in (*_made(folder, "building"), *folder.glob(f"{OPENING}*")):
        shutil.rmtree(left, ignore_errors=True)
    return folder / f"building-{time.time_ns() // 1_000_000}"


def make_live(folder: Path, built: Path) -> Path:
    """Turn what was built into the live generation, and remove the others."""
    generation = folder / built.name.replace("building", "generation", 1)
    link = folder / "current.next"
    link.unlink(missing_ok=True)
    link.symlink_to(generation.name)
    built.rename(generation)
    link.replace(folder / "current")
    for old in _made(folder, "generation"):
        if old != generation:
            shutil.rmtree(old, ignore_errors=True)
    return generation


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """Raise `ConfigurationError` for what the block cannot write, a full disk above all."""
    try:
        yield
    except (OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConfigurationError(
            f"the index in {folder} cannot be written (is the disk full?): {said}; "
            "the live index is as it was"
        ) from error


@contextmanager
def whole_change(generation: Path) -> Iterator[None]:
    """Remove the files that the block leaves in a generation when it fails. Raises like `written`.

    They would take up the room that the next change needs, if only to remove an article.
    """
    before, files = stamp(generation), set(generation.iterdir())
    try:
        with written(generation.parent):
            yield
    except BaseException:
        if stamp(generation) == before:
            for left in set(generation.iterdir()) - files:
                left.unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the right to write. Raises `ConfigurationError` while another process has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise ConfigurationError(f"the index folder {folder} cannot be written: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"another process is writing the index in {folder}: try again when it is done"
            ) from error
        yield


def _made(folder: Path, what: str) -> list[Path]:
    """The folders that loads made: another, such as somebody's copy of one, is not ours."""
    return [path for path in folder.iterdir() if re.fullmatch(what + r"-\d+", path.name)]


def _about(language: Language) -> object:
    """What is written beside an index; its analysis names the language."""
    analysis = definition(language)["settings"]["analysis"]
    return {"analysis": analysis, "schema": {"interests_schema": schema_version()}}
