"""What simulated users say: training users, all others and the demo's each other things."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.demo.material import load_noise
from models.simulation.materials import NUMBERS, Materials, Wording, load_materials
from models.studies.templates import load_readers
from service.records import DOMAINS, Domain

SLOT = re.compile(r"\{(\w+)\}")
UNFILLED = {"p", "s", "n"}


@pytest.fixture(scope="module")
def materials() -> Materials:
    return load_materials()


def forms_of(wording: Wording) -> list[str]:
    everyday = [text for texts in wording.everyday.values() for text in texts]
    return [*wording.pages, *wording.videos, *wording.searches, *everyday]


def test_no_errand_and_no_word_of_one_is_said_by_training_users_and_by_others(
    materials: Materials,
) -> None:
    taught, held_out = materials.taught, materials.held_out
    for domain in taught.everyday:
        assert set(taught.everyday[domain]).isdisjoint(held_out.everyday[domain])
    for name in taught.words:
        assert set(taught.words[name]).isdisjoint(held_out.words[name])
    assert set(taught.pages).isdisjoint(held_out.pages)
    assert set(taught.videos).isdisjoint(held_out.videos)


def test_every_name_in_braces_has_words_for_both_kinds_of_users(materials: Materials) -> None:
    for wording in (materials.taught, materials.held_out):
        named = {name for form in forms_of(wording) for name in SLOT.findall(form)} - UNFILLED
        assert named <= {name for name, words in wording.words.items() if words}


@pytest.mark.parametrize("domain", [domain for domain in DOMAINS if domain != "news"])
def test_what_is_said_has_no_braces_left(materials: Materials, domain: Domain) -> None:
    rng = np.random.default_rng(1)
    for wording in (materials.taught, materials.held_out):
        said = {wording.errand(domain, rng) for _ in range(200)}
        if domain != "purchase":
            said |= {wording.about(domain, "Ferry Strike", rng) for _ in range(100)}
        assert not any("{" in text or "}" in text for text in said)
        assert len(said) > 25


def test_a_search_is_in_small_letters_and_a_page_keeps_the_spelling(materials: Materials) -> None:
    rng = np.random.default_rng(1)
    assert "ferry strike" in materials.taught.about("search", "Ferry Strike", rng)
    assert "Ferry Strike" in materials.taught.about("browse", "Ferry Strike", rng)


def test_nothing_that_demo_users_or_typed_readers_do_is_an_errand(materials: Materials) -> None:
    numbers = {"n": "|".join(map(str, range(*NUMBERS)))}
    theirs = {text for texts in load_noise().values() for text in texts}
    theirs |= {signal.text for reader in load_readers() for signal in reader}
    for wording in (materials.taught, materials.held_out):
        words = {
            name: "|".join(map(re.escape, found)) for name, found in wording.words.items()
        } | numbers
        for form in (text for texts in wording.everyday.values() for text in texts):
            parts = SLOT.split(form)
            pattern = "".join(
                f"(?:{words[part]})" if place % 2 else re.escape(part)
                for place, part in enumerate(parts)
            )
            assert not [text for text in theirs if re.fullmatch(pattern, text, re.I)], form
