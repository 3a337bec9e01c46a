"""The lists that teach which signals are noise: the numbers of all the others."""

from __future__ import annotations

from collections.abc import Sequence

from models.simulation.signal_texts import MIXES, MixName
from models.simulation.users import SimulatedUser, simulate
from models.training.sft.examples import INTEREST, NOISE, UNTAUGHT, Example, make_examples
from models.training.sft.reference_labels import ReferenceForm, reference_label
from service.generation.queries import parse
from service.records import Domain, Signal
from service.signals.prompt import Template, Tokenizer
from tests.unit.models.builders import small_world

USUAL = ReferenceForm(references=8)


def user_saying(*signals: tuple[int | None, Domain, str]) -> SimulatedUser:
    """Somebody who has done this, the oldest first, each with the interest behind it."""
    made = tuple(
        Signal(i, domain, text, f"s{i}") for i, (_, domain, text) in enumerate(signals, start=1)
    )
    sources = tuple(source for source, _, _ in signals)
    return SimulatedUser("u", len(made) + 1, made, sources, (1, 2), ())


def lines_of(user: SimulatedUser, form: ReferenceForm = USUAL) -> list[str]:
    return reference_label(user, user.signals, form)


def test_every_signal_of_an_interest_is_referred_to_and_no_noise_the_newest_first() -> None:
    user = user_saying(
        (1, "search", "glacier ferry"),
        (None, "search", "banana bread"),
        (2, "news", "Opera singer loses her voice"),
    )
    assert lines_of(user) == ["#3 #1"]
    assert lines_of(user_saying((None, "search", "banana bread"))) == []


def test_numbers_are_those_of_the_signals_that_the_prompt_shows() -> None:
    user = user_saying((None, "search", "banana bread"), (1, "search", "glacier ferry"))
    assert reference_label(user, user.signals[1:], USUAL) == ["#1"]


def test_what_would_be_the_same_query_is_referred_to_once_by_the_newer_signal() -> None:
    user = user_saying((1, "search", "glacier ferries"), (1, "browse", "The Glacier Ferry"))
    assert lines_of(user) == ["#2"]


def test_a_list_ends_with_as_many_references_as_the_form_says() -> None:
    user = user_saying(*((1, "search", f"first{i} second{i}") for i in range(9)))
    assert lines_of(user, ReferenceForm(references=2)) == ["#9 #8"]


READER = user_saying(
    (1, "news", "Glacier ferry sinks"),
    (None, "news", "Opera singer loses her voice"),
    (1, "search", "ferry timetable"),
    (2, "news", "Bakers strike over flour"),
    (2, "video", "how bakers knead"),
)


def test_headlines_come_first_on_request_and_never_lack_room() -> None:
    assert lines_of(READER, ReferenceForm(references=8, news_first=True)) == ["#4 #1 #5 #3"]
    assert lines_of(READER, ReferenceForm(references=3, news_first=True)) == ["#4 #1 #5"]


def test_headlines_alone_are_named_on_request_where_they_are_enough() -> None:
    for least in (0, 1, 2):
        form = ReferenceForm(references=8, news_first=True, least=least)
        assert lines_of(READER, form) == ["#4 #1"]
    assert lines_of(READER, ReferenceForm(8, news_first=True, least=3)) == ["#4 #1 #5"]
    assert lines_of(READER, ReferenceForm(8, news_first=True, least=9)) == ["#4 #1 #5 #3"]
    assert lines_of(READER, ReferenceForm(2, news_first=True, least=3)) == ["#4 #1"]


def examples_of(
    mix: MixName, template: Template, tokenizer: Tokenizer
) -> tuple[dict[str, SimulatedUser], list[Example]]:
    """Thirty training users by name, and their examples."""
    users = {user.id: user for user in simulate(small_world(), "train", MIXES[mix], 30)}
    end = tokenizer.control_tokens[0]

    def label(user: SimulatedUser, shown: Sequence[Signal]) -> list[str]:
        return reference_label(user, shown, USUAL)

    return users, make_examples(users.values(), label, template, tokenizer, budget=400, end=end)


def test_examples_fit_the_budget_and_end_in_the_end_token(
    template: Template, tokenizer: Tokenizer
) -> None:
    _, examples = examples_of("easy", template, tokenizer)
    assert examples
    for example in examples:
        assert example.answer[-1] in tokenizer.control_ids
        assert len(example.prompt) <= 400
        assert example.tokens == [*example.prompt, *example.answer]


def test_the_service_reads_an_example_as_the_signals_that_its_prompt_shows(
    template: Template, tokenizer: Tokenizer
) -> None:
    users, examples = examples_of("easy", template, tokenizer)
    assert examples
    for example in examples:
        user = users[example.user]
        told = {
            signal.id: source for signal, source in zip(user.signals, user.sources, strict=True)
        }
        written = tokenizer.decode(example.answer[:-1])
        queries = parse(written, example.shown, finished=True, max_queries=8)
        assert 1 <= len(queries) <= len(written.split())
        assert all(told[id_] is not None for query in queries for id_ in query.signals)


def test_each_signal_is_judged_at_the_end_of_its_line(
    template: Template, tokenizer: Tokenizer
) -> None:
    users, examples = examples_of("hard", template, tokenizer)
    seen = set()
    for example in examples:
        user = users[example.user]
        told = {s.id: source for s, source in zip(user.signals, user.sources, strict=True)}
        assert [interest for _, interest in example.verdicts] == [
            told[signal.id] is not None for signal in example.shown
        ]
        lines = tokenizer.decode(example.prompt).splitlines()
        for (place, interest), signal in zip(example.verdicts, example.shown, strict=True):
            before = tokenizer.decode(example.prompt[: place + 1])
            line = before.splitlines()[-1]
            assert before.endswith("\n")
            assert line in lines
            assert template.domains[signal.domain] in line
            assert example.labels[place] == (INTEREST if interest else NOISE)
            seen.add(interest)
        assert example.labels[len(example.prompt) :] == list(example.answer)
        untaught = set(range(len(example.prompt))) - {place for place, _ in example.verdicts}
        assert {example.labels[place] for place in untaught} <= {UNTAUGHT}
    assert seen == {True, False}
