"""Vectors in an index on OpenSearch: its mapping, and whose vectors the indices of an alias hold.

The fields are those of the k-NN plugin with Lucene's own engine. An index without them has the
mapping that it always had, and needs no plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt

from service.languages import ENGLISH, Language
from service.records import Vectors
from service.retrieval.indexes.analysis import definition
from service.retrieval.indexes.loading import EncoderOf

VECTOR = "vector"
DIGEST = "text_digest"
ENCODER = "interests_encoder"
"""In the mapping's `_meta`: the key of the encoder that made the index's vectors."""

_SPACE = "cosinesimil"
_DECIMALS = 8
"""Of a vector's numbers as they are written: as fine as 32 bits are, in half the bytes."""


def index_definition(encoder: EncoderOf | None, language: Language = ENGLISH) -> dict[str, Any]:
    """Settings and mappings of an index, with the fields for an encoder's vectors or without."""
    body = deepcopy(dict(definition(language)))
    if encoder is not None:
        body["settings"]["index"]["knn"] = True
        body["mappings"]["_meta"][ENCODER] = encoder.key
        body["mappings"]["properties"][VECTOR] = {
            "type": "knn_vector",
            "dimension": encoder.dimension,
            "method": {"name": "hnsw", "engine": "lucene", "space_type": _SPACE},
        }
        body["mappings"]["properties"][DIGEST] = {"type": "keyword"}
    return body


def encoder_of(mappings: Mapping[str, Any]) -> EncoderOf | None:
    """Whose vectors an index holds, by its mapping; None where it has none that can be searched."""
    key = _encoder_key(mappings)
    if not key or vector_problem(mappings):
        return None
    return EncoderOf(key, int(_vector_field(mappings)["dimension"]))


def vector_problem(mappings: Mapping[str, Any]) -> str | None:
    """Why the vectors that a mapping's `_meta` names cannot be searched; None where they can."""
    if not (key := _encoder_key(mappings)):
        return None
    field = _vector_field(mappings)
    space = field.get("space_type") or field.get("method", {}).get("space_type")
    if field.get("type") != "knn_vector":
        problem = f"type of {VECTOR!r} is {field.get('type')}, not knn_vector"
    elif not isinstance(field.get("dimension"), int):
        problem = f"{VECTOR!r} has no dimension"
    elif space != _SPACE:
        problem = f"space_type of {VECTOR!r} is {space}, not {_SPACE}"
    else:
        return None
    return f"_meta.{ENCODER} names {key}, but {problem}"


def has_digests(mappings: Mapping[str, Any]) -> bool:
    """Whether vectors can be looked up by the digest of their text."""
    field = mappings.get("properties", {}).get(DIGEST, {})
    return bool(field.get("type") == "keyword")


def shared(encoders: Iterable[EncoderOf | None]) -> EncoderOf | None:
    """What all have in common: None where they differ, or one has none."""
    different = set(encoders)
    return different.pop() if len(different) == 1 else None


def usable_rows(vectors: Vectors) -> npt.NDArray[np.bool_]:
    """Which rows have a direction: OpenSearch takes no zeros and no number that is not finite."""
    return np.logical_and(np.isfinite(vectors).all(axis=1), np.any(vectors, axis=1))


def as_written(vectors: Vectors) -> list[list[float]]:
    """Rows as they are sent to OpenSearch."""
    rows: list[list[float]] = vectors.astype(np.float64).round(_DECIMALS).tolist()
    return rows


def as_read(row: object, dimension: int) -> npt.NDArray[np.float32] | None:
    """A stored vector at length 1; None for what is none of that dimension."""
    try:
        vector = np.asarray(row, np.float32)
    except (TypeError, ValueError):
        return None
    if vector.shape != (dimension,) or not usable_rows(vector[None])[0]:
        return None
    length = float(np.linalg.norm(vector))
    unit: npt.NDArray[np.float32] = vector / np.float32(length)
    return unit


class AliasEncoders:
    """Whose vectors the indices behind an alias hold, as it was last looked up.

    A load puts another index behind the alias without a word. So a look holds only until a hit
    comes from an index that it has not seen, or the statistics name other indices.
    """

    def __init__(self) -> None:
        self._found: dict[str, EncoderOf | None] | None = None
        self._uuids: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """Whether there is a look that still holds."""
        return self._found is not None

    @property
    def indices(self) -> frozenset[str]:
        """Names of the indices that the look has seen."""
        return frozenset(self._found or ())

    @property
    def shared(self) -> EncoderOf | None:
        """What all indices have in common, if they do and it is known."""
        return shared((self._found or {}).values())

    def read(self, mappings: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in each index's mapping."""
        self._found = {name: encoder_of(mapping) for name, mapping in mappings.items()}

    def forget(self) -> None:
        """End the look."""
        self._found = None

    def saw_uuids(self, uuids: Iterable[str]) -> None:
        """End the look when other indices than before stand behind the alias."""
        now = frozenset(uuids)
        if now != self._uuids:
            self._uuids = now
            self.forget()


def _encoder_key(mappings: Mapping[str, Any]) -> str:
    key = mappings.get("_meta", {}).get(ENCODER)
    return key if isinstance(key, str) else ""


def _vector_field(mappings: Mapping[str, Any]) -> Mapping[str, Any]:
    field: Mapping[str, Any] = mappings.get("properties", {}).get(VECTOR, {})
    return field
