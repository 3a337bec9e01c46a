"""A packaged base turned into what engine and training read: tokenizer, configuration, weights.

As it is, or cut to a part of its vocabulary, or with a delta merged into it. `build_base` makes the
folder that a student is trained on: the same cut, no delta yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.packaging.adapter_file import read_delta
from models.packaging.gguf import config_of, tokenizer_config_of, tokenizer_of, write_weights
from models.packaging.packaged import check_packaged, packaged_file
from models.packaging.vocabulary import cut_tokenizer, read_vocabulary
from models.progress import Share
from service.errors import ConfigurationError
from service.folders import complete_folder
from service.manifest import PackagedBase, sha256_of

if TYPE_CHECKING:
    from gguf import GGUFReader

_TOKENIZER = "tokenizer.json"
_FILES = (_TOKENIZER, "tokenizer_config.json", "config.json", "model.safetensors")
_SUMS = "base.json"
"""Beside them in a training base: checksums of what it was made from, and of its files."""
_NO_ROOM = "make room, or choose another place with --base"


def convert(
    base: PackagedBase,
    into: Path,
    progress: Share,
    *,
    vocabulary: Path | None = None,
    delta: Path | None = None,
) -> None:
    """Write `tokenizer.json`, `tokenizer_config.json`, `config.json` and `model.safetensors`.

    The bytes follow from the package's file, the vocabulary and the delta alone. Raises
    `ConfigurationError`: the package is missing or another one, or vocabulary or delta are no good
    for it.
    """
    reader = _opened(base, progress)
    adapter = None if delta is None else read_delta(delta)
    tokenizer, kept = _tokenizer(reader, vocabulary)
    for name, content in (
        (_TOKENIZER, tokenizer),
        ("tokenizer_config.json", tokenizer_config_of(reader)),
        ("config.json", config_of(reader, kept)),
    ):
        _write_json(into / name, content)
    write_weights(
        reader,
        into / "model.safetensors",
        lambda share: progress("writing weights", share),
        kept=kept,
        delta=adapter,
    )


def write_tokenizer(base: PackagedBase, vocabulary: Path, into: Path, progress: Share) -> None:
    """Write only the `tokenizer.json` that `convert` writes. Raises what it raises."""
    _write_json(into / _TOKENIZER, _tokenizer(_opened(base, progress), vocabulary)[0])


def _opened(base: PackagedBase, progress: Share) -> GGUFReader:
    """The package's file, checked."""
    origin = packaged_file(base)
    # gguf and the library that reads adapters are installed with the package: asked for after it.
    from gguf import GGUFReader

    progress("checking the package", 0.0)
    check_packaged(origin, base)
    progress("reading the package", 0.0)
    return GGUFReader(origin)


def _tokenizer(
    reader: GGUFReader, vocabulary: Path | None
) -> tuple[dict[str, Any], Sequence[int] | None]:
    """The package's tokenizer, cut to the tokens of a vocabulary, and their ids in the package."""
    tokenizer = tokenizer_of(reader)
    if vocabulary is None:
        return tokenizer, None
    kept = read_vocabulary(vocabulary, tokenizer)
    return cut_tokenizer(tokenizer, kept), kept


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


def build_base(base: PackagedBase, vocabulary: Path, target: Path, progress: Share) -> bool:
    """Make the folder that training starts from: the packaged base, cut to a vocabulary.

    Returns False when `target` already held it, whole. Raises `ConfigurationError` as `convert`
    does, and where the disk is full or cannot be written; then there is nothing half-made.
    """
    sums = {"package": base.sha256, "vocabulary": _sum(vocabulary)}
    if _is_whole(target, sums):
        return False
    # Quantised to 4 bits and more, the package holds at most a quarter of what bfloat16 needs.
    with complete_folder(target, packaged_file(base).stat().st_size * 4, _NO_ROOM) as aside:
        convert(base, aside, progress, vocabulary=vocabulary)
        files = {name: sha256_of(aside / name) for name in _FILES}
        (aside / _SUMS).write_text(json.dumps({"made_from": sums, "files": files}, indent=1))
    return True


def _is_whole(target: Path, made_from: dict[str, str]) -> bool:
    try:
        known = json.loads((target / _SUMS).read_bytes())
        return bool(known["made_from"] == made_from) and all(
            sha256_of(target / name) == known["files"][name] for name in _FILES
        )
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _sum(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
