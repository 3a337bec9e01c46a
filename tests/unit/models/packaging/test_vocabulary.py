"""Choosing a part of a vocabulary, cutting a tokenizer to it, and the file that says which part."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.packaging.vocabulary import choose_tokens, read_vocabulary, write_vocabulary
from service.errors import ConfigurationError
from tests.unit.models.packaging.builders import CONTROL, NEWS, cut, encode, full, loaded

NEVER_LEFT_OUT = 256 + len(CONTROL)
ALL = len(full()["model"]["vocab"])
WORDS = " ".join(NEWS).split()

sizes = st.integers(NEVER_LEFT_OUT, ALL + 50)
samples = st.lists(st.sampled_from(WORDS).map(lambda word: " " + word), max_size=30)
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS)).map(" ".join))


@given(samples, sizes, texts)
def test_every_text_survives_a_cut_tokenizer(sample: list[str], size: int, text: str) -> None:
    tokenizer = loaded(cut(choose_tokens(full(), sample, size)))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


@given(samples, sizes, texts)
def test_a_text_whose_tokens_are_all_kept_is_encoded_as_before(
    sample: list[str], size: int, text: str
) -> None:
    kept = choose_tokens(full(), sample, size)
    before = encode(full(), text)
    if set(before) <= set(kept):
        assert [kept[i] for i in encode(cut(kept), text)] == before


@given(samples, sizes)
def test_a_choice_has_at_most_the_size_and_is_a_valid_vocabulary(
    tmp_path_factory: pytest.TempPathFactory, sample: list[str], size: int
) -> None:
    kept = choose_tokens(full(), sample, size)
    assert len(kept) <= size
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.json"
    write_vocabulary(path, full(), kept)
    assert read_vocabulary(path, full()) == kept


@given(samples, sizes, st.randoms())
def test_a_choice_depends_on_counts_alone(sample: list[str], size: int, random: Any) -> None:
    shuffled = random.sample(sample, len(sample))
    assert choose_tokens(full(), shuffled, size) == choose_tokens(full(), sample, size)


def test_frequent_words_stay_whole_and_others_fall_apart() -> None:
    often, seldom = encode(full(), " ferry"), encode(full(), " northern")
    assert len(often) == len(seldom) == 1, "both are single tokens of the full vocabulary"
    kept = choose_tokens(full(), [" ferry"] * 9 + [" northern"], NEVER_LEFT_OUT + 6)
    assert len(encode(cut(kept), " ferry")) == 1
    assert len(encode(cut(kept), " northern")) > 1


def test_what_is_always_wanted_is_kept_whatever_its_count() -> None:
    kept = choose_tokens(full(), [" ferry"] * 9, NEVER_LEFT_OUT + 20, always=[" northern"])
    assert len(encode(cut(kept), " northern")) == 1


def test_control_tokens_keep_their_meaning_under_new_ids() -> None:
    tokenizer = loaded(cut(choose_tokens(full(), NEWS, NEVER_LEFT_OUT)))
    ids = tokenizer.encode("<|im_start|>user", add_special_tokens=False).ids
    assert tokenizer.id_to_token(ids[0]) == "<|im_start|>"
    assert {token.content for token in tokenizer.get_added_tokens_decoder().values()} == {*CONTROL}


def test_the_whole_vocabulary_is_the_tokenizer_itself() -> None:
    assert cut(choose_tokens(full(), NEWS, ALL)) == full()


def test_a_size_without_room_for_bytes_and_control_tokens_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="259 that are always kept; raise the size"):
        choose_tokens(full(), NEWS, NEVER_LEFT_OUT - 1)


def _without(token: str) -> Callable[[list[int]], list[int]]:
    """Leave out one token."""
    vocab: dict[str, int] = full()["model"]["vocab"]
    return lambda kept: [i for i in kept if i != vocab[token]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda kept: [*kept[:5], kept[4], *kept[5:]], "`kept` is not ascending at 4"),
        (lambda kept: kept[::-1], "`kept` is not ascending"),
        (lambda kept: [*kept, ALL], f"`kept` has the id {ALL}, which the base's vocabulary lacks"),
        (lambda kept: [-1, *kept], "`kept` has the id -1"),
        (lambda kept: [*kept[:-1], str(kept[-1])], "`kept` must be a list of token ids"),
        (lambda kept: {}, "`kept` must be a list of token ids"),
        (_without("<|im_end|>"), "'<|im_end|>' (2) is not kept, a control token or a single byte"),
        (_without("q"), "'q' ("),
        (_without("er"), "is kept without 'er' ("),
    ],
)
def test_a_wrong_vocabulary_is_refused_by_file_and_reason(
    tmp_path: Path, change: Callable[[list[int]], Any], words: str
) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"tokens": ALL, "kept": change(list(range(ALL)))}))
    with pytest.raises(ConfigurationError) as caught:
        read_vocabulary(path, full())
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"tokens": 49152, "kept": []}', "`tokens` is 49152, but the base's vocabulary has"),
        (b'{"kept": []}', "must hold `tokens` and `kept`"),
        (b"[]", "must hold `tokens` and `kept`"),
        (b'{"tokens": 4', "cannot be read as a vocabulary"),
        (b"\xff", "cannot be read as a vocabulary"),
    ],
)
def test_what_is_no_vocabulary_of_this_base_is_named(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words):
        read_vocabulary(path, full())


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.json: cannot be read"):
        read_vocabulary(tmp_path / "gone.json", full())
