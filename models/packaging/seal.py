"""Put the checksums of a student's parts, and of what is built of them, into its manifest.

The one step between trained weights and a student that builds: everything else in `student.yaml` is
written by a person, or of a Hugging Face folder without one put there to be looked through.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.packaging.base import convert
from models.packaging.hugging_face import CONFIG, TOKENIZER, first_manifest, read_folder
from models.packaging.packaged import base_named_in
from models.packaging.peft_folder import PEFT_FILES, read_peft
from models.progress import Share
from service.errors import ConfigurationError
from service.files import whole_file
from service.manifest import MANIFEST, load_manifest, sha256_of
from service.signals.template import Tokenizer, load_template
from service.yaml_files import read_fields


def seal_student(folder: Path, adapter: Path | None, progress: Share) -> bool:
    """Fill in every sha256 of a student in `folder`: recipe, adapter or Hugging Face folder.

    `adapter`, if given, is copied into a recipe first. A Hugging Face folder without a manifest
    gets one; returns whether that was so. Nothing changes unless it builds. The manifest is
    rewritten whole and checked before it takes the old one's place; its comments are lost. Raises
    `ConfigurationError`: neither of the two, or a part that is missing or no good.
    """
    path = folder / MANIFEST
    if new := not path.exists() and (folder / CONFIG).is_file():
        raw: dict[Any, Any] = first_manifest(folder, read_folder(folder))
    elif not path.exists():
        raise ConfigurationError(
            f"{folder} holds neither {MANIFEST} nor a {CONFIG}; write the manifest as "
            "docs/students.md says"
        )
    else:
        raw = read_fields(path, "student").fields
    weights = raw.get("weights")
    try:
        if isinstance(weights, dict) and weights.get("kind") == "path":
            if adapter is not None:
                raise ConfigurationError(
                    f"{path}: --adapter is for a recipe, and these weights are whole files; merge "
                    "the adapter into them first"
                )
            _fill_in_folder(path, raw, progress)
            _put_in_place(path, raw)
        elif isinstance(weights, dict) and weights.get("kind") == "adapter":
            if adapter is not None:
                raise ConfigurationError(
                    f"{path}: --adapter is for a recipe; this student is the adapter, whose files "
                    "lie beside the manifest"
                )
            _fill_in_adapter(path, raw, progress)
            _put_in_place(path, raw)
        else:
            _seal_recipe(_recipe(path, raw), folder, adapter, progress)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from error
    return new


def _fill_in_folder(path: Path, raw: dict[Any, Any], progress: Share) -> None:
    """Write into the draft what a Hugging Face folder holds, and checksums of all of it."""
    folder = path.parent
    wanted = _fill_in_names(path, raw)
    found = read_folder(folder)
    if found.context is not None and wanted > found.context:
        raise ConfigurationError(
            f"{path}: engine.max_model_len is {wanted}, but {CONFIG} has max_position_embeddings "
            f"{found.context}; lower it"
        )
    raw.setdefault("architecture", found.architecture)
    raw.setdefault("parameters", found.parameters)
    _fill_in_sums(path, raw, found.files, progress)


def _fill_in_adapter(path: Path, raw: dict[Any, Any], progress: Share) -> None:
    """Write into the draft what PEFT's files hold, and checksums of all of it."""
    _fill_in_names(path, raw)
    if not (path.parent / TOKENIZER).is_file():
        raise ConfigurationError(
            f"{path.parent / TOKENIZER} is missing: copy that of the student which the adapter is "
            "added to"
        )
    raw.setdefault("parameters", read_peft(path.parent).parameters)
    _fill_in_sums(path, raw, PEFT_FILES, progress)


def _fill_in_names(path: Path, raw: dict[Any, Any]) -> int:
    """Name template and tokenizer where the draft does not; returns its `max_model_len`, or 0."""
    raw.setdefault("template", {"file": "template.yaml"})
    raw.setdefault("tokenizer", {"file": TOKENIZER})
    try:
        _, tokenizer = raw["template"]["file"], raw["tokenizer"]["file"]
        wanted = int((raw.get("engine") or {}).get("max_model_len", 0))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: template, tokenizer or engine is not as docs/students.md says"
        ) from error
    if tokenizer != TOKENIZER:
        raise ConfigurationError(f"{path}: tokenizer.file must be {TOKENIZER}")
    return wanted


def _fill_in_sums(path: Path, raw: dict[Any, Any], files: Sequence[str], progress: Share) -> None:
    """Write the checksums of the engine's files, the tokenizer and the template, all readable."""
    folder = path.parent
    template = folder / str(raw["template"]["file"])
    if not template.is_file():
        raise ConfigurationError(
            f"{template} is missing: it makes this model's prompt out of signals; write it as "
            "docs/prompt.md says"
        )
    load_template(template)
    Tokenizer.load(folder / TOKENIZER)
    sums = {}
    for number, name in enumerate((*files, TOKENIZER)):
        progress(f"checksum of {name}", number / (len(files) + 1))
        sums[name] = sha256_of(folder / name)
    raw["tokenizer"]["sha256"] = sums.pop(TOKENIZER)
    raw["template"]["sha256"] = sha256_of(template)
    raw["weights"]["files"] = sums


@dataclass(frozen=True, slots=True)
class _Recipe:
    """A manifest as a person wrote it, and the names of the files that it is to have sums of."""

    path: Path
    raw: Any
    template: str
    tokenizer: str
    vocabulary: str
    delta: str | None


def _recipe(path: Path, raw: Mapping[Any, Any]) -> _Recipe:
    try:
        return _Recipe(
            path,
            raw,
            template=raw["template"]["file"],
            tokenizer=raw["tokenizer"]["file"],
            vocabulary=raw["weights"]["vocabulary"]["file"],
            delta=raw["weights"]["delta"]["file"] if raw["weights"].get("delta") else None,
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: must be the manifest of a recipe, of an adapter, or of a Hugging Face folder "
            "(kind: path); see docs/students.md"
        ) from error


def _seal_recipe(draft: _Recipe, folder: Path, adapter: Path | None, progress: Share) -> None:
    """Build the recipe aside, and write what came out into its manifest."""
    base = base_named_in(folder)
    place = None if draft.delta is None else folder / draft.delta
    if place is None and adapter is not None:
        raise ConfigurationError(
            f"{draft.path}: --adapter is for a recipe whose weights.delta names a file; name one"
        )
    delta = adapter or place
    for needed in (delta, folder / draft.template, folder / draft.vocabulary):
        if needed is not None and not needed.is_file():
            raise ConfigurationError(f"{needed} is missing: a recipe needs it")
    with tempfile.TemporaryDirectory() as made:
        vocabulary = folder / draft.vocabulary
        convert(base, Path(made), progress, vocabulary=vocabulary, delta=delta)
        sums = {path.name: sha256_of(path) for path in sorted(Path(made).iterdir())}
    _fill_in_recipe(draft, folder, delta, sums)
    copied = None if adapter is None or place is None else (adapter, place)
    _put_in_place(draft.path, draft.raw, copied)


def _fill_in_recipe(draft: _Recipe, folder: Path, delta: Path | None, sums: dict[str, str]) -> None:
    """Write the checksums into the draft: of the parts, and `sums`, those of what is built."""
    if draft.tokenizer not in sums:
        raise ConfigurationError(f"{draft.path}: tokenizer.file must be tokenizer.json")
    raw, weights = draft.raw, draft.raw["weights"]
    raw["tokenizer"]["sha256"] = sums[draft.tokenizer]
    raw["template"]["sha256"] = sha256_of(folder / draft.template)
    weights["vocabulary"]["sha256"] = sha256_of(folder / draft.vocabulary)
    if delta is not None:
        weights["delta"]["sha256"] = sha256_of(delta)
    weights["files"] = {name: sum_ for name, sum_ in sums.items() if name != draft.tokenizer}


def _put_in_place(path: Path, raw: Any, copied: tuple[Path, Path] | None = None) -> None:
    """The manifest, once it has been read as one; before it the file that is copied beside it."""
    text = yaml.safe_dump(raw, sort_keys=False, width=100, allow_unicode=True)
    with whole_file(path) as manifest:
        manifest.write(text.encode())
        manifest.flush()
        try:
            load_manifest(Path(manifest.name))
        except ConfigurationError as error:
            raise ConfigurationError(str(error).replace(manifest.name, str(path))) from error
        if copied is not None:
            given, place = copied
            with given.open("rb") as source, whole_file(place) as file:
                shutil.copyfileobj(source, file)
