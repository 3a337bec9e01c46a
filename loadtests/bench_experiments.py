"""CPU time of assigning a user to ten running experiments.

    python -m loadtests.bench_experiments [--users 20000]

Two workloads, all users enrolled, two arms each: ten layers of one experiment (all ten apply to
every request, the worst case), and one layer of ten (one applies). Prints the mean and the best of
five rounds in microseconds of CPU time a user.
"""

from __future__ import annotations

import argparse
import sys
import time

from service.experiments.assign import Assigner
from service.experiments.definitions import Arm, Experiment, Experiments, Layer, Status

EXPERIMENTS, ROUNDS = 10, 5


def experiment(number: int, first: int, last: int) -> Experiment:
    """A running experiment of two arms that enrols everybody in its buckets but a holdout."""
    arms = (Arm("control", 5_000), Arm("other", 5_000, student="student@2"))
    return Experiment(
        f"experiment-{number}", "ab", Status.RUNNING, (first, last), 10_000, arms, holdout=100
    )


def workloads() -> dict[str, Experiments]:
    """Files by what they show."""
    alone = [
        Layer(f"layer-{n}", f"salt-{n}", (experiment(n, 0, 9_999),)) for n in range(EXPERIMENTS)
    ]
    shared = [experiment(n, n * 1_000, n * 1_000 + 999) for n in range(EXPERIMENTS)]
    return {
        "ten layers of one": Experiments(tuple(alone)),
        "one layer of ten": Experiments((Layer("layer", "salt", tuple(shared)),)),
    }


def measure(experiments: Experiments, users: list[str]) -> float:
    """Microseconds of CPU time a user."""
    assigner = Assigner(experiments)
    started = time.process_time()
    for user in users:
        assigner.assign(user, 1)
    return (time.process_time() - started) / len(users) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    users = [f"user-{number:012d}" for number in range(parser.parse_args().users)]
    for name, experiments in workloads().items():
        found = [measure(experiments, users) for _ in range(ROUNDS)]
        sys.stdout.write(f"{name}: mean {sum(found) / ROUNDS:.1f} µs, best {min(found):.1f} µs\n")


if __name__ == "__main__":
    main()
