"""What an `Accept-Encoding` asks for, by RFC 9110, 12.4.2 and 12.5.3."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.packing import Packed, packed
from tests.unit.service.api.fakes import FakeGateway, client_of

ASKED = {
    "": Packed.NONE,
    "gzip": Packed.LARGE,
    "GZip": Packed.LARGE,
    "x-gzip": Packed.LARGE,
    "br, gzip;q=0.1": Packed.LARGE,
    "gzip;q=0": Packed.NONE,
    "gzip;q=0.0": Packed.NONE,
    "gzip ; Q=0.000": Packed.NONE,
    "gzip;q=0, *": Packed.NONE,
    "*": Packed.LARGE,
    "*;q=0": Packed.NONE,
    "gzip, *;q=0": Packed.ALL,
    "gzip, identity;q=0": Packed.ALL,
    "*, identity;q=0": Packed.ALL,
    "identity;q=0": Packed.NONE,
    "gzip;q=0, identity;q=0": Packed.NONE,
    "identity": Packed.NONE,
    "identity, gzip;q=0.5": Packed.NONE,
    "identity;q=0.5, gzip;q=0.5": Packed.LARGE,
    "*;q=0.5, gzip;q=0.4": Packed.NONE,
    "notgzip, gzipped": Packed.NONE,
    "gzip;q=2": Packed.NONE,
    "gzip;q=-0": Packed.NONE,
    "gzip;q=": Packed.NONE,
    "gzip;level=9": Packed.NONE,
    ",, gzip ,": Packed.LARGE,
}


@pytest.mark.parametrize(("header", "which"), ASKED.items())
def test_answers_are_packed_as_the_header_asks(header: str, which: Packed) -> None:
    assert packed(header) is which


WEIGHTS = st.integers(0, 1000)
CODINGS = st.sampled_from(["gzip", "identity", "*", "br", "deflate", "zstd"])


@st.composite
def headers(draw: st.DrawFn) -> tuple[str, dict[str, int]]:
    """A header, and each coding's weight in thousandths."""
    weights = draw(st.dictionaries(CODINGS, WEIGHTS))
    blank = st.sampled_from(["", " ", "\t", "  "])
    elements = []
    for coding, weight in weights.items():
        name = "".join(draw(st.sampled_from([c.lower(), c.upper()])) for c in coding)
        said = f"{weight // 1000}.{weight % 1000:03}".rstrip(draw(st.sampled_from(["0", "0.", ""])))
        q = draw(st.sampled_from("qQ"))
        parameter = f"{draw(blank)};{draw(blank)}{q}={said or '0'}"
        full = weight == 1000 and draw(st.booleans())
        elements.append(f"{draw(blank)}{name}{'' if full else parameter}{draw(blank)}")
    return ",".join(elements), weights


@given(headers())
def test_nothing_is_sent_in_a_form_that_was_refused_where_another_is_wanted(
    asked: tuple[str, dict[str, int]],
) -> None:
    header, weights = asked
    others = weights.get("*")
    gzip_weight = weights.get("gzip", others)
    plain_weight = weights.get("identity", others)
    which = packed(header)
    if not gzip_weight:
        assert which is Packed.NONE
    elif plain_weight is None:
        assert which is Packed.LARGE
    elif plain_weight == 0:
        assert which is Packed.ALL
    else:
        assert which is (Packed.LARGE if gzip_weight >= plain_weight else Packed.NONE)


@given(st.text(max_size=60))
def test_any_header_is_read(header: str) -> None:
    assert packed(header) in Packed


@pytest.mark.parametrize(
    ("path", "asked", "is_packed"),
    [
        ("/openapi.json", ["gzip"], True),
        ("/openapi.json", ["br", "gzip"], True),
        ("/openapi.json", ["gzip;q=0"], False),
        ("/openapi.json", ["gzip", "gzip;q=0"], False),
        ("/openapi.json", ["*;q=0"], False),
        ("/healthz", ["gzip"], False),
        ("/healthz", ["gzip, identity;q=0"], True),
    ],
)
async def test_an_answer_says_that_it_depends_on_what_was_asked(
    tmp_path: Path, path: str, asked: list[str], is_packed: bool
) -> None:
    headers = [("accept-encoding", one) for one in asked]
    async with client_of(FakeGateway(tmp_path).app()) as client:
        client.headers.pop("accept-encoding")
        answer = await client.get(path, headers=headers)
    assert (answer.headers.get("content-encoding") == "gzip") == is_packed
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_an_answer_without_a_body_stays_without_one(tmp_path: Path) -> None:
    async with client_of(FakeGateway(tmp_path).app()) as client:
        headers = {"accept-encoding": "gzip, identity;q=0"}
        answer = await client.delete("/v1/users/u", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-encoding" not in answer.headers
