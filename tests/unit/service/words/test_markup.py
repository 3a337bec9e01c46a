"""What of a title or an abstract is HTML, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.words.markup import plain, spaced


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<b>Rate</b> cut &amp; run", "Rate cut & run"),
        ("It&#8217;s here&nbsp;now &#x2014; &eacute;t&eacute;", "It’s here now — été"),
        ("&quot;A&quot; &lt; B", '"A" < B'),
        ('<a href="https://x.example/?a=1&amp;b=2" rel=nofollow>Ferry</a> strike', "Ferry strike"),
        ("<p>One.</p><p class='lead'>Two.</p>Three<br/>four<BR>five", "One. Two. Three four five"),
        ('<img alt="a > b" src="x.png" /> Photo', "Photo"),
        ("H<sub>2</sub>O and m<sup>2</sup>", "H2O and m2"),
        ("&lt;b&gt;Rate&lt;/b&gt; cut &amp;amp; run", "Rate cut & run"),
        ("&amp;lt;b&amp;gt;Rate&amp;lt;/b&amp;gt;", "Rate"),
        ("  two\n\t lines\u00a0 ", "two lines"),
        ("&#0;gone&#xD800;&#9999999;", "gone"),
        ("<p> </p>&nbsp;", ""),
        ("<P>One <B>two</B><BR>three</P>", "One two three"),
        ('<P ALIGN="left">One', "One"),
    ],
)
def test_tags_go_and_entities_are_what_they_stand_for(written: str, read: str) -> None:
    assert plain(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "a < b > c",
        "I <3 trains",
        "Vec<int> beats List<String>",
        "if a <b and c> d",
        "Map<A, B>",
        "DU PONT <DD> WINS SUIT AGAINST PHILLIPS <P>",
        "AT&T, R&D and Q&A;",
        "&copy 2026 &ampere &unknown; &;",
        "&#; &#x; &#xyz; &#12345678;",
        "<unclosed",
        "<p class=open",
        "< b >",
        "x<>y",
        "<!important>",
        "5 &lt",
    ],
)
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert plain(text) == text


def test_more_than_two_escapings_are_no_accident() -> None:
    assert plain("&amp;amp;amp;") == "&amp;"


@given(st.text("ab <>/=\"'&;#x1p\n", max_size=40))
def test_text_without_brackets_and_ampersands_is_only_spaced(text: str) -> None:
    found = plain(text)
    assert found == spaced(found)
    if "<" not in text and "&" not in text:
        assert found == spaced(text)
