"""What models write about their task instead of doing it: refusals, and reasons for a query. Pure.

Real queries are made of the same words ("sorry seems to be the hardest word", "i can't help falling
in love"), so a line is taken for prose only where two things speak for it: an apology with an
inability, an inability with what is asked of a model, a bracket with a word about the user.
"""

from __future__ import annotations

import re


def _pattern(spelled: str, **parts: str) -> re.Pattern[str]:
    """A pattern written over several lines, without breaks and indents; `<NAME>` is a part."""
    for name, part in parts.items():
        spelled = spelled.replace(f"<{name}>", f"(?:{part})")
    return re.compile("".join(map(str.strip, spelled.splitlines())), re.I)


_CAN_NOT = (
    "can't|cannot|can not|could not|couldn't|won't|will not|(?:am |'m )?(?:unable|not able) to|"
    "(?:am |'m )not allowed to"
)
_SERVE = (
    r"assist\b|comply\b|fulfil|help (?:you|with (?:that|this|your|the)\b)|help\W*$|"
    r"(?:provide|generate|create|write|produce|suggest|offer|give|make|list|find|complete|answer|"
    r"determine|identify|infer|see|access|browse|share|continue|process|do)\b.{0,60}\b"
    r"(?:quer(?:y|ies)|request|search(?:es)?|list|signals?|user|your|information|content|data|task|"
    r"that|this|interests?|internet|any|enough|real-time|personal)\b"
)
_MODEL = "(?:large )?language model|ai (?:language )?(?:model|assistant|system|chatbot)|chatbot"
_REFUSAL = _pattern(
    r"""
    (?:(?:<I_AM> )?(?:(?:so|very|really|truly) )?(?:sorry|afraid)|(?:my )?apologies)
        \b.{0,24}\b(?:i|we) ?<CAN_NOT> <SERVE>
    |<I_AM> (?:(?:so|very) )?sorry[,.;]? (?:but|for the)\b
    |<I_AM> (?:(?:so|very) )?sorry[,.;] (?:i|we) ?<CAN_NOT>\W*$
    |(?:sorry|unfortunately|regrettably)[,.;]? (?:but )?(?:i|we) ?(?:<CAN_NOT>|do not|don't)
        (?: <SERVE>| (?:have|see|know)\b|\W*$)
    |(?:i|we) ?<CAN_NOT> <SERVE>
    |i apologi[sz]e\b(?:\W*$|.{0,8}\b(?:for the|but|if)\b)
    |(?:i|we) (?:do not|don't) have (?:any )?
        (?:access|enough|real-time|the ability|information|personal|sufficient)\b
    |(?:i|we) (?:do not|don't) (?:understand|know) (?:the|your) (?:request|question|task|user|input)
    |as an? (?:<MODEL>\b|(?:ai|artificial intelligence|assistant) ?(?:,|i\b))
    |<I_AM> (?:just |only )?an? (?:<MODEL>|ai\b(?! \w))
    |(?:there (?:is|are) )?(?:no|not enough|insufficient) (?:(?:relevant|suitable|useful|clear) )?
        (?:quer(?:y|ies)|signals?|information|data|context|user interests?)\b
        (?:\W*$|.{0,30}\b(?:to (?:generate|write|suggest|make|create)
        |(?:was|were|is|are|be) (?:given|provided|found|available|generated|suggested)
        |(?:found|provided|available)\W*$))
    |(?:please|(?:could|can|would) you(?: please)?) (?:provide|share|give me|clarify|specify)\b
    |(?:the|this) user(?:'s)? (?:is|has|was|seems|appears|likes|reads|searched|watched|bought
        |wants|may|might|could|enjoys|also|recently|interests?|history|signals?)\b
    """,
    I_AM="i ?'?m|i am|we're|we are",
    CAN_NOT=_CAN_NOT,
    SERVE=_SERVE,
    MODEL=_MODEL,
)
_REASON = _pattern(
    r"""
    (?:\s*[(\[]\s*|\s+[-–—]+>?\s+|\s*[,;:]\s+|\s+(?=(?:because|since) the user\b))
    (?:
    (?:because|since|as|given|due to|based on|inferred from|derived from|relate[ds] to
        |relevant to|linked to|matches|reflects|from|for)\b[^)\]]{0,80}?\b<ABOUT_USER>\b
    |because (?:they|he|she)\b
    |(?:the )?user(?:'s)? (?:searched|read|watched|bought|clicked|likes?|has|is|was|may|might
        |seems|interests?|history|recently|wants|signals?)\b
    |they (?:searched|watched|bought|clicked|viewed)\b
    |(?:reason|why|explanation|rationale|note)\s*:
    |signals? ?#?\d
    |#\d{1,4}\s*[)\]]
    )
    [^()\[\]]{0,400}[)\]]?\s*[.;]?\s*\Z
    """,
    ABOUT_USER="users?|readers?|searched|clicked|signals?|interests?|interested|watched|bought|"
    "purchased|viewed|history|likes|liked|browsed",
)
_BEGINS_A_REASON = re.compile(r"[(\[\-–—,;:]|because|since", re.I)
"""What every reason begins with: most lines have none of it, which is quickly seen."""
_LONGEST = 480
"""Characters of a line that may be a query and its reason; longer ones are prose, left as they are,
which bounds the time that a spoilt output takes."""
_STRAIGHT = str.maketrans({"’": "'", "‘": "'"})


def is_refusal(line: str) -> bool:
    """Whether a line says that the model will not, or asks for more, or speaks of the user."""
    return _REFUSAL.match(line.translate(_STRAIGHT)) is not None


def without_reason(line: str) -> str:
    """The line without what it says at its end about why it was chosen; empty if that is all."""
    if len(line) > _LONGEST or _BEGINS_A_REASON.search(line) is None:
        return line
    match = _REASON.search(line.translate(_STRAIGHT))
    return line[: match.start()].rstrip() if match else line
