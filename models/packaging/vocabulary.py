"""A part of a tokenizer's vocabulary: which tokens stay, and the tokenizer cut down to them.

A student that writes short English searches needs a fraction of its base's tokens, and the others
cost time: with 49,152 of them the output layer is a fifth of a 135M model's work for each token.
What is kept is closed under merges (a token is kept with the two parts it is merged from), so every
text still encodes and comes back, a word whose own token is gone in more pieces; and a text whose
tokens are all kept is encoded as before.

The file is a JSON document `{"tokens": tokens of the base's vocabulary, "kept": [ids, ascending]}`.
The new id of a token is its position in `kept`. (Written as runs it would be an eighth shorter.)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import tokenizers

from service.errors import ConfigurationError

_BATCH = 4096
"""Texts encoded together."""


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
    for token in token_counts(tokenizer, always):
        kept |= _missing(token, parts, kept)
    if size < len(kept):
        raise ConfigurationError(
            f"a vocabulary of {size} tokens has no room for the {len(kept)} that are always kept; "
            "raise the size"
        )
    counts = token_counts(tokenizer, texts)
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
        if (part := open_ids.pop()) not in kept and part not in missing:
            missing.add(part)
            open_ids += parts[part]
    return missing


def _encoder(tokenizer: dict[str, Any]) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer))


def token_counts(tokenizer: dict[str, Any], texts: Iterable[str]) -> Counter[int]:
    """How often each token occurs in the encoded texts."""
    encoder, waiting = _encoder(tokenizer), iter(texts)
    counts: Counter[int] = Counter()
    while batch := list(islice(waiting, _BATCH)):
        for encoded in encoder.encode_batch(batch, add_special_tokens=False):
            counts.update(encoded.ids)
    return counts
