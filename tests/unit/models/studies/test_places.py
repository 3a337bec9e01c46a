"""What the share of places that queries get in turn does to what is found."""

from __future__ import annotations

from models.evaluation.bench import Bench
from models.evaluation.simulated_sets import simulated_set
from models.simulation.signal_texts import MIXES
from models.studies.meaning_weight import Reader
from models.studies.places import covered, interests_of, of_newswire, of_simulated
from service.records import Hit, Query, Run
from tests.unit.models.builders import small_world


def test_a_group_is_covered_by_any_one_of_its_articles() -> None:
    assert covered(["a", "b"], [{"a", "x"}, {"b"}, {"y"}]) == 2
    assert covered([], [{"a"}]) == 0


def test_places_in_turn_reach_the_topic_whose_query_scores_low() -> None:
    words = [
        "harbour",
        "winter",
        "summer",
        "island",
        "mountain",
        "river",
        "forest",
        "meadow",
        "garden",
        "bridge",
        "tower",
    ]

    def run(name: str, score: float) -> Run:
        hits = [
            Hit(f"{name}{i}", f"{name} {word} {word}{name}", "", 0, 0.0, score - i / 100)
            for i, word in enumerate(words)
        ]
        return Run(Query(name), tuple(hits))

    loud, quiet = run("loud", 9.0), run("quiet", 1.0)
    topics = tuple(frozenset(hit.id for hit in found.hits) for found in (loud, quiet))
    by_share = of_newswire([Reader(["loud", "quiet"], topics)], [(loud, quiet)], (0.0, 0.5))
    assert by_share[0.0].tolist() == [[1.0, 1, 2]]
    assert by_share[0.5].tolist() == [[1.0, 2, 2]]


def test_every_share_is_measured_on_the_same_simulated_users() -> None:
    world = small_world()
    with Bench(simulated_set(world, "test", MIXES["easy"], 4)) as bench:
        interests = interests_of(world, "test", MIXES["easy"], 4)
        by_share = of_simulated(bench, interests, (0.0, 0.5))
    assert list(by_share) == [0.0, 0.5]
    for rows in by_share.values():
        assert rows.shape == (4, 4)
        assert (rows[:, 0] <= rows[:, 1]).all()
        assert (rows[:, 2] <= rows[:, 3]).all()
        assert rows[:, 3].min() >= 1
