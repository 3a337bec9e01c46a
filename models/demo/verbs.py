"""English verbs as newspapers use them: an event told in the headline's present, the past, or
the past perfect, from one line `subject | verb | rest`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_IRREGULAR = {
    line.split()[0]: (line.split()[1], line.split()[2])
    for line in """\
be was been
beat beat beaten
become became become
begin began begun
bend bent bent
bid bid bid
bind bound bound
bite bit bitten
bleed bled bled
blow blew blown
break broke broken
breed bred bred
bring brought brought
build built built
burst burst burst
buy bought bought
cast cast cast
catch caught caught
choose chose chosen
come came come
cost cost cost
creep crept crept
cut cut cut
deal dealt dealt
dig dug dug
do did done
draw drew drawn
drive drove driven
eat ate eaten
fall fell fallen
feed fed fed
feel felt felt
fight fought fought
find found found
flee fled fled
fly flew flown
forbid forbade forbidden
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got got
give gave given
go went gone
grow grew grown
hang hung hung
have had had
hear heard heard
hide hid hidden
hit hit hit
hold held held
hurt hurt hurt
keep kept kept
know knew known
lay laid laid
lead led led
leave left left
lend lent lent
let let let
light lit lit
lose lost lost
make made made
mean meant meant
meet met met
mistake mistook mistaken
outbid outbid outbid
outdo outdid outdone
outgrow outgrew outgrown
outrun outran outrun
outsell outsold outsold
overrun overran overrun
overtake overtook overtaken
pay paid paid
put put put
quit quit quit
read read read
rebuild rebuilt rebuilt
repay repaid repaid
ride rode ridden
ring rang rung
rise rose risen
run ran run
say said said
see saw seen
seek sought sought
sell sold sold
send sent sent
set set set
sew sewed sewn
shake shook shaken
shed shed shed
shine shone shone
shoot shot shot
show showed shown
shrink shrank shrunk
shut shut shut
sing sang sung
sink sank sunk
sit sat sat
sleep slept slept
slide slid slid
sow sowed sown
speak spoke spoken
spend spent spent
spin spun spun
split split split
spread spread spread
stand stood stood
steal stole stolen
stick stuck stuck
strike struck struck
string strung strung
sweep swept swept
swell swelled swollen
swim swam swum
take took taken
teach taught taught
tear tore torn
tell told told
think thought thought
throw threw thrown
undercut undercut undercut
understand understood understood
wake woke woken
wear wore worn
win won won
withdraw withdrew withdrawn
write wrote written""".splitlines()
}
_DOUBLED = {
    *("admit", "commit", "permit", "submit", "refer", "defer", "prefer", "transfer", "control"),
    *("cancel", "label", "signal", "model", "fuel", "travel", "compel", "reset", "dispel"),
    *("rebut", "equip", "propel", "rappel", "acquit", "quarrel", "shovel", "unwrap"),
}
_ARTICLE = re.compile(
    r"(?<!\d)(?<!half)(?<!twice)(?<!once)(?<!such)(?<!what)(?<!many)"
    r" (?:the|an?) "
    r"(?!(?:hundred|thousand|million|metre|kilo|litre|head|day|week|month|year|night)\b)"
    r"(?!(?:few|lot|dozen|third|quarter)\b)"
)


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody did: `subject`, the verb's base form, and the rest of the sentence."""

    subject: str
    verb: str
    rest: str
    plural: bool = False

    @classmethod
    def parse(cls, line: str) -> Event:
        """Read `subject | verb | rest`; a `~` before the subject says that it is plural."""
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 3 or not all(parts) or " " in parts[1]:
            raise ValueError(f"an event is `subject | verb | rest`, not {line!r}")
        subject = parts[0]
        return cls(subject.removeprefix("~").strip(), parts[1], parts[2], subject.startswith("~"))

    def headline(self) -> str:
        """`Norrsund Ferries begins battery trial on Strandvik crossing`."""
        verb = self.verb if self.plural and self.verb != "be" else present(self.verb)
        verb = "are" if self.plural and self.verb == "be" else verb
        return sentence_case(drop_articles(f"{self.subject} {verb} {self.rest}"))

    def told(self) -> str:
        """`Norrsund Ferries began a battery trial on the Strandvik crossing` (no full stop)."""
        verb = "were" if self.plural and self.verb == "be" else past(self.verb)
        return f"{self.subject} {verb} {self.rest}"

    def perfect(self) -> str:
        """`Norrsund Ferries has begun a battery trial on the Strandvik crossing`."""
        have = "have" if self.plural else "has"
        return f"{self.subject} {have} {participle(self.verb)} {self.rest}"

    def before(self) -> str:
        """`Norrsund Ferries had begun a battery trial on the Strandvik crossing`."""
        return f"{self.subject} had {participle(self.verb)} {self.rest}"


def present(verb: str) -> str:
    """Third person singular."""
    if verb in {"be", "have"}:
        return {"be": "is", "have": "has"}[verb]
    if re.search(r"(s|sh|ch|x|z|o)$", verb):
        return verb + "es"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + "s"


def past(verb: str) -> str:
    """Simple past."""
    return _IRREGULAR[verb][0] if verb in _IRREGULAR else _regular(verb)


def participle(verb: str) -> str:
    """Past participle."""
    return _IRREGULAR[verb][1] if verb in _IRREGULAR else _regular(verb)


def _regular(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ied"
    one_syllable = re.fullmatch(r"[^aeiou]*(?:qu)?[aeiou][^aeiouwxy]", verb)
    if verb in _DOUBLED or one_syllable:
        return verb + verb[-1] + "ed"
    return verb + "ed"


def drop_articles(text: str) -> str:
    """Headline English: no articles, save in rates ("$3 a day") and amounts ("a third")."""
    return _ARTICLE.sub(" ", f" {text}").strip()


def sentence_case(text: str) -> str:
    """The first letter as a capital, the rest as it stands."""
    return text[:1].upper() + text[1:]
