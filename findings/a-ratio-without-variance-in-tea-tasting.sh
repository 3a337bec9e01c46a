#!/usr/bin/env bash
# tea-tasting compares two arms in which everybody has the same ratio in one of three ways, by luck of rounding.
#
# tea-tasting 1.14.0 from PyPI, with numpy 2.4.6 and scipy 1.17.1, Python 3.11.
#
# Guessed: where every user of both arms has the same ratio (all queries answered, a tenth of all answers
# degraded), the difference is 0 and so is its standard error: no number, the same for every such ratio.
# Seen on 2026-11-28: the delta method's variance is a difference of equal terms, and what rounding leaves of
# it decides. `RatioOfMeans` raises `ValueError: math domain error` where a little below zero is left, reports
# p = 1 with a tiny standard error where a little above is left, and p = nan where nothing is left. With the
# numbers of users and events fixed, the ratio alone picks the case: 0.1, 0.3 and 1 below. A guardrail such as
# "share of degraded answers" is in this state on most good days.
#
# Fails if all three ratios are treated alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  tea-tasting==1.14.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import math

import numpy as np
import pandas as pd
import tea_tasting as tt


def told(ratio):
    rng = np.random.default_rng(1)
    answers = rng.integers(1, 9, 600).astype(float)
    users = pd.DataFrame(
        {"variant": np.repeat([0, 1], 300), "degraded": answers * ratio, "answers": answers}
    )
    experiment = tt.Experiment(degraded=tt.RatioOfMeans("degraded", "answers"))
    try:
        p = experiment.analyze(users)["degraded"].pvalue
    except ValueError as error:
        return f"ValueError: {error}"
    return "p = nan" if math.isnan(p) else f"p = {p:.3g}"


said = {ratio: told(ratio) for ratio in (0.1, 0.3, 1.0)}
for ratio, words in said.items():
    print(f"everybody's ratio {ratio}: {words}")
raise SystemExit(len(set(said.values())) == 1)
PYTHON
echo "as seen"
