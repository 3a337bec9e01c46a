"""Files of people and of judgements, read with every error named by file and line.

People are JSON lines. Judgements are TREC's qrels as the diversity tasks have them: person,
interest, article, grade, between blanks (Clarke et al., Overview of the TREC 2009 Web Track).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.people.records import GRADES, Interest, Judgement, Person, Split, Thread, Trace
from service.dates import parse_time
from service.errors import InvalidInput
from service.records import Domain
from service.rows import BadRow, broken_byte, read_lines

HERE = Path(__file__).parent
"""The people that the project wrote lie beside this module."""
MOST_TRACES = 40
MOST_INTERESTS = 6
_COLUMNS = 4

_Row = TypeVar("_Row")
_Model = TypeVar("_Model", bound=BaseModel)

_Text = Annotated[str, Field(min_length=1, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Interest(_Strict):
    name: _Text
    query: _Text


class _Trace(_Strict):
    at: str
    domain: Domain
    text: _Text | None = None
    article: Annotated[str, Field(min_length=1)] | None = None
    interest: Annotated[int, Field(ge=1)] | None = None


class _Person(_Strict):
    id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S+$")]
    now: str
    portrait: Annotated[str, Field(min_length=60, max_length=1_200)]
    interests: Annotated[tuple[_Interest, ...], Field(min_length=1, max_length=MOST_INTERESTS)]
    signals: Annotated[tuple[_Trace, ...], Field(min_length=1, max_length=MOST_TRACES)]


class _ThreadTrace(_Strict):
    domain: Domain
    text: _Text


class _Thread(_Strict):
    query: _Text
    signals: Annotated[tuple[_ThreadTrace, ...], Field(min_length=1, max_length=MOST_TRACES)]


def people_file(split: Split, folder: Path = HERE) -> Path:
    """Where the people of a split lie."""
    return folder / f"{split}.jsonl"


def threads_file(folder: Path = HERE) -> Path:
    """Where the threads lie."""
    return folder / "threads.jsonl"


def qrels_file(
    split: Split, folder: Path = HERE, *, again: bool = False, queries: bool = False
) -> Path:
    """Where the judgements of a split lie. `again`: those made a second time by somebody else;
    `queries`: those of the editor's queries, not of articles."""
    return folder / f"{split}{'.queries' if queries else ''}{'.again' if again else ''}.qrels"


def read_people(path: Path) -> tuple[Person, ...]:
    """Everybody in a file. Raises `InvalidInput` with file, line and remedy."""
    people = tuple(good_rows(_people(path)))
    lines: dict[str, int] = {}
    for person in people:
        if (before := lines.setdefault(person.id, person.line)) != person.line:
            raise InvalidInput(
                f"{path.name}:{person.line}: id: {person.id} stands in line {before} already; "
                "remove one of them or give it another id"
            )
    return people


def read_threads(path: Path) -> tuple[Thread, ...]:
    """All threads of a file. Raises `InvalidInput` with file, line and remedy."""
    return tuple(good_rows(_threads(path)))


def read_qrels(path: Path) -> tuple[Judgement, ...]:
    """All judgements of a file. Raises `InvalidInput` with file, line and remedy."""
    found = tuple(good_rows(_judgements(path)))
    lines: dict[tuple[str, str], int] = {}
    for line, judgement in found:
        key = judgement.person, judgement.article
        if key in lines:
            raise InvalidInput(
                f"{path.name}:{line}: {judgement.article} is judged for {judgement.person} in "
                f"line {lines[key]} already; keep one of them"
            )
        lines[key] = line
    return tuple(judgement for _, judgement in found)


def write_qrels(path: Path, judgements: Iterable[Judgement]) -> None:
    """Write judgements as `read_qrels` reads them."""
    rows = (f"{one.person} {one.interest} {one.article} {one.grade}\n" for one in judgements)
    path.write_text("".join(rows), encoding="utf-8")


def good_rows(rows: Iterable[_Row | BadRow]) -> Iterator[_Row]:
    """The rows. Raises `InvalidInput` at the first bad one: none can be spared here."""
    for row in rows:
        if isinstance(row, BadRow):
            raise InvalidInput(f"{row}; mend that line")
        yield row


def _people(path: Path) -> Iterator[Person | BadRow]:
    for line, row in read_lines(str(path)):
        try:
            yield _person(_checked(_Person, row), line)
        except InvalidInput as error:
            yield BadRow(path.name, line, error.field or "", str(error))


def _threads(path: Path) -> Iterator[Thread | BadRow]:
    for line, row in read_lines(str(path)):
        try:
            read = _checked(_Thread, row)
        except InvalidInput as error:
            yield BadRow(path.name, line, error.field or "", str(error))
        else:
            traces = tuple((one.domain, one.text) for one in read.signals)
            yield Thread(read.query, traces, line)


def _checked(kind: type[_Model], row: str) -> _Model:
    """A line as what it is to be. Raises `InvalidInput` with the field."""
    if (byte := broken_byte(row)) is not None:
        raise InvalidInput(f"byte {byte} is not UTF-8")
    try:
        return kind.model_validate_json(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInput(first["msg"], field=".".join(map(str, first["loc"]))) from None


def _person(read: _Person, line: int) -> Person:
    now_ms = parse_time(read.now, "now")
    traces: list[Trace] = []
    for number, signal in enumerate(read.signals):
        field = f"signals.{number}"
        at_ms = parse_time(signal.at, f"{field}.at")
        if at_ms >= now_ms:
            raise InvalidInput(
                f"{signal.at} is not before the person's now, {read.now}; move one of them",
                field=f"{field}.at",
            )
        if traces and at_ms < traces[-1].at_ms:
            raise InvalidInput("is before the signal above it; sort them", field=f"{field}.at")
        if (signal.article is None) is (signal.domain == "news"):
            raise InvalidInput(
                "a news click has the id of its article and no other signal has one",
                field=f"{field}.article",
            )
        if (signal.text is None) is not (signal.domain == "news"):
            raise InvalidInput(
                "every signal has a text but a news click, whose text is its article's title",
                field=f"{field}.text",
            )
        if signal.interest is not None and signal.interest > len(read.interests):
            raise InvalidInput(
                f"there are {len(read.interests)} interests; leave it out for noise",
                field=f"{field}.interest",
            )
        interest = None if signal.interest is None else signal.interest - 1
        traces.append(Trace(at_ms, signal.domain, signal.text or "", signal.article, interest))
    return Person(
        id=read.id,
        now_ms=now_ms,
        portrait=read.portrait,
        interests=tuple(Interest(each.name, each.query) for each in read.interests),
        traces=tuple(traces),
        line=line,
    )


def _judgements(path: Path) -> Iterator[tuple[int, Judgement] | BadRow]:
    for line, row in read_lines(str(path)):
        columns = row.split()
        if len(columns) != _COLUMNS:
            yield BadRow(path.name, line, "", "needs person, interest, article and grade")
            continue
        person, interest, article, grade = columns
        if not (interest.isascii() and interest.isdigit()):
            yield BadRow(path.name, line, "interest", "must be a number, 0 for none")
        elif grade not in map(str, GRADES):
            yield BadRow(path.name, line, "grade", f"{grade} is none of 0, 1 and 2")
        else:
            yield line, Judgement(person, int(interest), article, int(grade))
