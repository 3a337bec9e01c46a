"""What of a signal's text may find news."""

from __future__ import annotations

import pytest

from service.records import Domain
from service.words.noise import telling_words


@pytest.mark.parametrize(
    ("domain", "text", "telling"),
    [
        ("search", "how to prune an apple tree", "prune apple tree"),
        ("search", "what is the fed rate", "fed rate"),
        ("search", "buy cheap electric bike near me", "electric bike"),
        ("search", "facebook login", ""),
        ("search", "chase bank sign in", ""),
        ("search", "amazon", ""),
        ("search", "amazon layoffs", "amazon layoffs"),
        ("search", "2024", ""),
        ("search", "???", ""),
        ("browse", "https://www.example.com/news/world", ""),
        ("browse", "Why glaciers melt faster | The Daily Planet", "glaciers melt faster"),
        ("browse", "Home | Login", ""),
        ("video", "Rover finds ice on Mars - YouTube", "Rover finds ice Mars"),
        ("video", "Official Trailer | Harbor Lights", "Harbor Lights"),
        (
            "purchase",
            "Garmin Forerunner GPS Running Watch, Black, 42 mm",
            "Garmin Forerunner GPS Running Watch",
        ),
        ("purchase", "SoundCore WH-1000XM4 headphones 2 pack 64GB", "SoundCore headphones"),
        ("purchase", "men's running shoes size 10.5 blue", "running shoes"),
        ("news", "US House votes on TikTok sale", "US House votes TikTok sale"),
        ("news", "WHO warns of a new flu", "WHO warns new flu"),
        ("news", "地震 トルコ", "地震 トルコ"),
    ],
)
def test_only_the_words_that_may_find_news_are_kept(
    domain: Domain, text: str, telling: str
) -> None:
    assert " ".join(telling_words(text, domain)) == telling
