"""A part of a tokenizer's vocabulary: which tokens stay, and the tokenizer cut down to them.

    python -m models.vocabulary --size 12288 --before 2021-07-01 --out vocabulary.json FILE...

A student that writes short English searches needs a fraction of its base's tokens, and the others
cost time: with 49,152 of them the output layer is a fifth of a 135M model's work for each token.
What is kept is closed under merges (a token is kept with the two parts it is merged from), so every
text still encodes and comes back, a word whose own token is gone in more pieces; and a text whose
tokens are all kept is encoded as before.

The file is a JSON document `{"tokens": tokens of the base's vocabulary, "kept": [ids, ascending]}`.
The new id of a token is its position in `kept`. (Written as runs it would be an eighth shorter.)
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import tokenizers

from service.errors import ConfigurationError
from service.files import open_plain
from service.manifest import PackagedBase
from service.records import DOMAINS

_BATCH = 4096
"""Texts encoded together."""
_IN_EVERY_PROMPT = ("system", "user", "assistant", *DOMAINS, *(f" {one}" for one in DOMAINS))
"""The roles of the chat form that the base knows, and the words for where a signal comes from."""


def choose_tokens(
    tokenizer: dict[str, Any], texts: Iterable[str], size: int, always: Iterable[str] = ()
) -> list[int]:
    """The ids of at most `size` tokens to keep, ascending: those that occur most in `texts`.

    `tokenizer` is the content of a BPE `tokenizer.json`. Control tokens, single bytes and the
    tokens of the texts `always` are kept in any case; a token comes with the parts it is merged
    from, or not at all where they do not fit. Equal counts are decided by the id: the base's own
    training found the smaller one more often. The same arguments give the same ids. Raises
    `ConfigurationError` where `size` is too small.
    """
    parts = _parts(tokenizer)
    kept = _always_kept(tokenizer, parts)
    for token in _counts(tokenizer, always):
        kept |= _missing(token, parts, kept)
    if size < len(kept):
        raise ConfigurationError(
            f"a vocabulary of {size} tokens has no room for the {len(kept)} that are always kept; "
            "raise the size"
        )
    counts = _counts(tokenizer, texts)
    for token in sorted(_ids(tokenizer), key=lambda i: (-counts[i], i)):
        missing = _missing(token, parts, kept)
        if len(kept) + len(missing) <= size:
            kept |= missing
        if len(kept) == size:
            break
    return sorted(kept)


def cut_tokenizer(tokenizer: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """`tokenizer.json` cut to the tokens `kept` (ascending ids), the n-th of them having the id n.

    The merges whose parts and result are kept stay, in their order. `kept` must be closed as
    `choose_tokens` and `read_vocabulary` give it.
    """
    new = {old: position for position, old in enumerate(kept)}
    vocab = {t: new[i] for t, i in tokenizer["model"]["vocab"].items() if i in new}
    merges = [
        [left, right]
        for left, right in tokenizer["model"]["merges"]
        if left in vocab and right in vocab and left + right in vocab
    ]
    added = [{**token, "id": new[token["id"]]} for token in tokenizer["added_tokens"]]
    model = {**tokenizer["model"], "vocab": vocab, "merges": merges}
    return {**tokenizer, "added_tokens": added, "model": model}


def read_vocabulary(path: Path, tokenizer: dict[str, Any]) -> list[int]:
    """The ids that the file keeps of the base's `tokenizer`, checked against it.

    Raises `ConfigurationError` that names the file and what is wrong with it.
    """
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as a vocabulary: {error}") from error
    if not isinstance(raw, dict) or set(raw) != {"tokens", "kept"}:
        raise ConfigurationError(f"{path}: must hold `tokens` and `kept`, and nothing else")
    if (problem := _problem(raw["tokens"], raw["kept"], tokenizer)) is not None:
        raise ConfigurationError(f"{path}: {problem}; make it again for this base")
    return list(raw["kept"])


def write_vocabulary(path: Path, tokenizer: dict[str, Any], kept: Sequence[int]) -> None:
    """Write the file that keeps the ids `kept` of the base's `tokenizer`."""
    document = {"tokens": len(tokenizer["model"]["vocab"]), "kept": list(kept)}
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")


def _problem(tokens: object, kept: object, tokenizer: dict[str, Any]) -> str | None:
    """What is wrong with a file's content, if anything."""
    names = {i: name for name, i in tokenizer["model"]["vocab"].items()}
    if tokens != len(names):
        return f"`tokens` is {tokens}, but the base's vocabulary has {len(names)}"
    if not isinstance(kept, list) or not all(type(i) is int for i in kept):
        return "`kept` must be a list of token ids"
    if wrong := [b for a, b in pairwise(kept) if b <= a]:
        return f"`kept` is not ascending at {wrong[0]}"
    if outside := [i for i in kept if i not in names]:
        return f"`kept` has the id {outside[0]}, which the base's vocabulary lacks"
    parts, there = _parts(tokenizer), set(kept)
    if lost := sorted(_always_kept(tokenizer, parts) - there):
        return f"{names[lost[0]]!r} ({lost[0]}) is not kept, a control token or a single byte"
    for i in kept:
        if lost := sorted(set(parts.get(i, ())) - there):
            part = f"{names[lost[0]]!r} ({lost[0]})"
            return f"{names[i]!r} ({i}) is kept without {part}, which it is merged from"
    return None


def _ids(tokenizer: dict[str, Any]) -> list[int]:
    return list(tokenizer["model"]["vocab"].values())


def _parts(tokenizer: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """What each token is merged from; by the first merge, where there are several."""
    vocab: dict[str, int] = tokenizer["model"]["vocab"]
    parts: dict[int, tuple[int, int]] = {}
    for left, right in tokenizer["model"]["merges"]:
        parts.setdefault(vocab[left + right], (vocab[left], vocab[right]))
    return parts


def _always_kept(tokenizer: dict[str, Any], parts: dict[int, tuple[int, int]]) -> set[int]:
    """Control tokens, and whatever no merge makes: the single bytes."""
    control = {int(token["id"]) for token in tokenizer["added_tokens"]}
    return control | {i for i in _ids(tokenizer) if i not in parts}


def _missing(token: int, parts: dict[int, tuple[int, int]], kept: set[int]) -> set[int]:
    """The token and all that it is merged from, as far as it is not kept yet."""
    missing: set[int] = set()
    open_ids = [token]
    while open_ids:
        if (one := open_ids.pop()) not in kept and one not in missing:
            missing.add(one)
            open_ids += parts[one]
    return missing


def _encoder(tokenizer: dict[str, Any]) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer))


def _counts(tokenizer: dict[str, Any], texts: Iterable[str]) -> Counter[int]:
    """How often each token occurs in the encoded texts."""
    encoder, waiting = _encoder(tokenizer), iter(texts)
    counts: Counter[int] = Counter()
    while batch := list(islice(waiting, _BATCH)):
        for encoded in encoder.encode_batch(batch, add_special_tokens=False):
            counts.update(encoded.ids)
    return counts


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

    Of queries (`source`, `query`) only those of Natural Questions are read: its terms let a student
    that was made from them ship.
    """
    if "query" in row:
        return [(True, row["query"])] if row["source"] == "nq" else []
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
    # The command alone needs the engine environment: whoever builds a student has the file.
    from gguf import GGUFReader

    from models.gguf import tokenizer_of
    from models.packaged import packaged_file
    from models.registry import BASE_STUDENT, find_student

    texts = [one for path in files for one in _texts(path, before)]
    weights = find_student(BASE_STUDENT).manifest.weights
    assert isinstance(weights, PackagedBase)
    tokenizer = tokenizer_of(GGUFReader(packaged_file(weights)))
    kept = choose_tokens(tokenizer, (text for old, text in texts if old), size, _IN_EVERY_PROMPT)
    write_vocabulary(out, tokenizer, kept)
    cut = cut_tokenizer(tokenizer, kept)
    for name, which in (("chosen by", True), ("held out", False)):
        some = [text for old, text in texts if old is which]
        full, short = (_counts(one, some).total() for one in (tokenizer, cut))
        more = short / full - 1 if full else 0.0
        sys.stdout.write(f"{name}: {len(some)} texts, {full} tokens, cut {short} (+{more:.1%})\n")


if __name__ == "__main__":
    main()
