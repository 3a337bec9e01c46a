"""A student's template and tokenizer: the words around the signals, and text into token ids."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import tokenizers
from cachetools import LRUCache
from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.errors import ConfigurationError
from service.records import DOMAINS, Domain
from service.yaml_files import read_yaml

MIN_TEXT_TOKENS = 32
"""So that any single word, cut into pieces, can be shown in part."""
_WORDS_CACHED = 32_768
_LAYOUTS_KEPT = 8
_SAMPLE = ("news", "naïve café", "5G für 20 %", "日本 의 новости", "🏔 ﬁn", "a\n")


class Template(BaseModel):
    """The fixed words of a prompt; `docs/prompt.md` says how to write one.

    `prefix`, then for each signal `signal` with its number, domain and text, then `cue`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: str = Field(description="Instructions and examples; control tokens are understood.")
    signal: str = Field(description="One signal's line, with `{n}`, `{domain}` and `{text}`.")
    cue: str = Field(description="What follows the signals and asks for the answer.")
    domains: dict[Domain, str] = Field(description="The word for each domain.")
    markers: tuple[str, ...] = Field(
        (), description="Words of the template that no signal may spell."
    )
    last: tuple[Domain, ...] = Field(
        (), description="Domains whose signals stand behind all others, each group oldest first."
    )
    max_signals: int = Field(48, ge=3, description="Newest signals shown at the most.")
    max_chars: int = Field(200, ge=8, description="Characters of one signal's text.")
    max_tokens: int = Field(40, ge=MIN_TEXT_TOKENS, description="Tokens of one signal's text.")

    @field_validator("signal")
    @classmethod
    def _names_text_once(cls, value: str) -> str:
        after = value.partition("{text}")[2]
        if value.count("{text}") != 1 or "\n" not in after:
            raise ValueError("needs {text} once, and a line break after it")
        if "{domain}" in after:
            raise ValueError("needs {domain} before {text}")
        return value

    @field_validator("domains")
    @classmethod
    def _names_every_domain(cls, value: dict[Domain, str]) -> dict[Domain, str]:
        if missing := [domain for domain in DOMAINS if not value.get(domain)]:
            raise ValueError(f"has no word for {', '.join(missing)}")
        return value

    def lead(self, number: int, domain: Domain) -> str:
        """What stands before a signal's text."""
        before = self.signal.partition("{text}")[0].removesuffix(" ")
        return before.replace("{n}", str(number)).replace("{domain}", self.domains[domain])

    @property
    def glue(self) -> str:
        """What joins the lead and the text's first word: a space belongs to the word after it."""
        return " " if " {text}" in self.signal else ""

    def end(self, number: int) -> str:
        """What stands after a signal's text."""
        return self.signal.partition("{text}")[2].replace("{n}", str(number))


def load_template(path: Path) -> Template:
    """Read a template. Raises `ConfigurationError` naming the file, the field and the remedy."""
    return read_yaml(path, Template, "template")


class Tokenizer:
    """Text into token ids, piece by piece, so that a prompt's ids only ever grow at the end.

    Trusted text may hold control tokens; the untrusted may not. Words of untrusted text are encoded
    each by itself and kept (32,768 words): encoding a whole line takes 0.1 ms on a slow core, some
    ms for a user, and looking its words up a hundredth of that.
    """

    def __init__(self, trusted: tokenizers.Tokenizer, plain: tokenizers.Tokenizer) -> None:
        """`plain` is a second copy of `trusted`; it is told to see control tokens as text."""
        plain.encode_special_tokens = True
        added = trusted.get_added_tokens_decoder()
        self.control_ids: frozenset[int] = frozenset(added)
        self.control_tokens: tuple[str, ...] = tuple(token.content for token in added.values())
        self.layouts: LRUCache[int, object] = LRUCache(_LAYOUTS_KEPT)
        """What `render` keeps of templates, by their identity."""
        self._trusted = trusted
        self._plain = plain
        self.trusted: Callable[[str], tuple[int, ...]] = lru_cache(1024)(self._encode_trusted)
        self.word: Callable[[str], tuple[int, ...]] = lru_cache(_WORDS_CACHED)(self._encode_word)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.json`.

        Raises `ConfigurationError`: not readable, or not byte-level (every text must come back).
        """
        try:
            made = cls(*(tokenizers.Tokenizer.from_file(str(path)) for _ in range(2)))
        except Exception as error:  # the library raises bare Exception, whatever is wrong
            raise ConfigurationError(f"{path}: not a readable tokenizer.json: {error}") from error
        for text in _SAMPLE:
            if made.decode(made.trusted(text)) != text:
                raise ConfigurationError(
                    f"{path}: {text!r} does not survive encoding; a byte-level tokenizer is needed"
                )
        return made

    def decode(self, token_ids: tuple[int, ...]) -> str:
        """The text of token ids, control tokens spelled out."""
        return str(self._trusted.decode(list(token_ids), skip_special_tokens=False))

    def _encode_trusted(self, text: str) -> tuple[int, ...]:
        return tuple(self._trusted.encode(text, add_special_tokens=False).ids)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        """Untrusted text. `neutralise` has taken the control tokens out; this makes it certain."""
        ids = self._plain.encode(word, add_special_tokens=False).ids
        return tuple(i for i in ids if i not in self.control_ids)
