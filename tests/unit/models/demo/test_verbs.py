import pytest

from models.demo.verbs import Event, drop_articles, past, present


@pytest.mark.parametrize(
    ("verb", "third", "told"),
    [
        ("begin", "begins", "began"),
        ("ban", "bans", "banned"),
        ("carry", "carries", "carried"),
        ("deny", "denies", "denied"),
        ("open", "opens", "opened"),
        ("launch", "launches", "launched"),
        ("cancel", "cancels", "cancelled"),
        ("fix", "fixes", "fixed"),
        ("veto", "vetoes", "vetoed"),
        ("free", "frees", "freed"),
        ("play", "plays", "played"),
    ],
)
def test_verbs_are_conjugated(verb, third, told):
    assert (present(verb), past(verb)) == (third, told)


def test_an_event_reads_as_a_headline_and_as_a_sentence():
    event = Event.parse("Norrsund Ferries | begin | a trial on the Strandvik crossing")
    assert event.headline() == "Norrsund Ferries begins trial on Strandvik crossing"
    assert event.told() == "Norrsund Ferries began a trial on the Strandvik crossing"
    assert event.perfect() == "Norrsund Ferries has begun a trial on the Strandvik crossing"
    assert event.before() == "Norrsund Ferries had begun a trial on the Strandvik crossing"


def test_a_plural_subject_takes_a_plural_verb():
    event = Event.parse("~harbour pilots | warn | of ice")
    assert event.headline() == "Harbour pilots warn of ice"
    assert event.perfect() == "harbour pilots have warned of ice"


def test_rates_keep_their_article():
    assert (
        drop_articles("a town pays the crew 40 euros a night") == "town pays crew 40 euros a night"
    )


@pytest.mark.parametrize(
    "line", ["too | few", "a | b | c | d", " | begin | it", "x | two words | y"]
)
def test_a_misspelt_event_is_refused(line):
    with pytest.raises(ValueError, match="subject"):
        Event.parse(line)
