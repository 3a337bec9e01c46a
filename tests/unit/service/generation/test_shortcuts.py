"""Reading takes shortcuts where a text cannot hold what is looked for: they change nothing."""

from __future__ import annotations

import re
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from service.generation import output, prose, queries
from service.languages import ENGLISH
from service.records import DOMAINS, Domain, Signal
from service.words import noise, text
from service.words.talk import talk_of

_ALWAYS = re.compile("")
_WRITTEN = [
    "#3",
    "#3, #12",
    "# ",
    "1. ",
    "- ",
    "**Query:** ",
    "search 2: ",
    "Sure, here are ",
    "Here is the list:",
    "because the user",
    "(user interest)",
    " - matches the user's history",
    "since ",
    "reason: x",
    "[a](http://b)",
    '"a b c" - why',
    "“",
    "```json",
    "```",
    "~~~",
    '["a b", "c d"]',
    '{"query": "x y"}',
    "<|im_end|>",
    "<think>",
    "</think>",
    "[INST]",
    "[/INST]",
    "user:",
    "Human",
    ", ",
    ": ",
    "ſince ",
    "ΟΔΟΣ ",
    "İstanbul ",
    "rain rain, ",
    "it's ",
    "storm ",
    "market ",
    "2024 ",
    "10 of ",
    "size 10",
    "US ",
    "who is ",
    "best ",
    "price ",
    "login ",
    "N/A",
    "٣٤ ",
    "\u2028",
    "\r\n",
    "\x85",
    "\t",
    "\n",
    "\n\n",
    " ",
    " ",
]
written = st.lists(st.sampled_from([*_WRITTEN, "|", "| a | b |\n"]) | st.text(max_size=4)).map(
    "".join
)


@given(text=written, finished=st.booleans())
def test_a_text_without_lists_and_marks_is_cut_into_the_same_pieces(
    text: str, finished: bool
) -> None:
    quick = output.pieces(text, finished=finished)
    with mock.patch.multiple(output, _MADE_OF_MORE=_ALWAYS, _MARKUP=_ALWAYS):
        assert quick == output.pieces(text, finished=finished)


@given(line=written)
def test_a_line_in_which_no_reason_can_begin_has_none(line: str) -> None:
    quick = prose.without_reason(line)
    with mock.patch.object(prose, "_BEGINS_A_REASON", _ALWAYS):
        assert quick == prose.without_reason(line)


@given(number=st.from_regex(r"#\d{1,4}", fullmatch=True))
def test_a_reference_alone_is_what_is_left_of_itself(number: str) -> None:
    assert list(queries._stripped(number)) == [number]


@given(line=written)
def test_a_line_says_each_telling_word_once(line: str) -> None:
    small, seen, kept = text.small_words(ENGLISH), set[str](), []
    for word in line.split():
        telling = {bare for bare in text.words(word.lower()) if bare not in small}
        if not telling or not telling <= seen:
            seen |= telling
            kept.append(word)
    assert queries._said_once(line, ENGLISH) == " ".join(kept)


@given(query=written, said=st.lists(written, max_size=12))
def test_a_query_is_linked_to_the_signals_that_it_shares_most_stems_with(
    query: str, said: list[str]
) -> None:
    shown = [Signal(n, "news", words, f"s{n}") for n, words in enumerate(said)]
    own = text.stems(query)
    closest = []
    for place, words in enumerate(said):
        stems = text.stems(words)
        shared = len(own & stems)
        if shared and shared >= queries.LINKED * min(len(own), len(stems)) - 1e-9:
            closest.append((-shared / len(own | stems), -place))
    best = tuple(f"s{-place}" for _, place in sorted(closest)[: queries.MAX_LINKS])
    assert queries._Links(shown, ENGLISH).of(own) == best


@given(said=written, domain=st.sampled_from(DOMAINS))
def test_a_text_without_digits_has_no_word_that_is_a_number(said: str, domain: Domain) -> None:
    quick = noise.telling_words(said, domain)
    with mock.patch.object(noise, "_DIGIT", _ALWAYS):
        assert quick == noise.telling_words(said, domain)


@given(said=st.text(st.characters(max_codepoint=127)) | written)
def test_words_of_a_texts_parts_are_its_words(said: str) -> None:
    parts = [word for part in noise._PART.split(said) for word in text.words(part)]
    assert parts == text.words(said)
    if said.isascii():
        assert [word.lower() for word in parts] == text.words(said.lower())


def test_words_that_may_be_noise_anywhere_are_those_of_three_lists() -> None:
    for lists in talk_of(ENGLISH).domains.values():
        assert lists.anywhere == lists.always | lists.telltale | lists.beside
