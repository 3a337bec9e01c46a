"""Whether the rewards know a good list."""

from __future__ import annotations

import numpy as np

from models.evaluation.bench import Bench
from models.evaluation.people_sets import people_set
from models.rewards.outcomes import Outcomes
from models.rewards.targets import judged_targets
from models.studies.rewards import column, rewarded
from tests.unit.models.people.builders import articles, judgement, person, trace

ADA = person("ada", trace("fjord", 0), queries=("battery ferry",))
SAID = [judgement("ada", "ferry+1", 2), judgement("ada", "ferry+2", 2)]


def test_a_good_list_gets_more_than_a_bad_one_and_none_gets_nothing() -> None:
    judged = people_set([ADA], SAID, list(articles().values()), "tune")
    written = {"good": {"ada": ["battery ferry"]}, "bad": {"ada": ["chess champion"]}, "none": {}}
    with Bench(judged.data) as bench:
        outcomes = Outcomes(bench)
        found = rewarded(list(judged_targets(judged, outcomes)), written, outcomes)
    assert column(found, "relevance").tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(column(found, "diversity")[:2]).all()
    assert column(found, "diversity")[2] == 0.0
