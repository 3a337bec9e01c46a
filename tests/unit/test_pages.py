"""README and the pages of docs name files that are there, and link to headings that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_hints import FENCED, PAGES, ROOT

CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ROOMS = "service|models|deploy|helm|tests|loadtests|docs"
NAMED = re.compile(rf"`((?:{ROOMS})/[\w./-]+)`")
MODULE = re.compile(rf"`((?:{ROOMS})(?:\.[a-z_]+)+)`")


def headings(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_what_a_page_links_to_and_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = []
    for target in LINK.findall(CODE.sub("", FENCED.sub("", text))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in headings(linked)):
            missing.append(target)
    missing += [path for path in NAMED.findall(text) if not (ROOT / path).exists()]
    for dotted in MODULE.findall(text):
        whole, outer = ROOT.joinpath(*dotted.split(".")), ROOT.joinpath(*dotted.split(".")[:-1])
        if not any(p.exists() for p in (whole, whole.with_suffix(".py"))):
            module = outer.with_suffix(".py")
            if not (module.is_file() and dotted.rpartition(".")[2] in module.read_text()):
                missing.append(dotted)
    assert not missing
