"""The dashboard of the students: what each writes, how often it is heard, what its lists cost."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard, Panel, Query, Row
from deploy.grafana.queries import quantiles, rate_of, share

_STUDENT = 'student=~"$student"'

STUDENTS = Dashboard(
    "students",
    "interests: students",
    "What each student writes, how often it is heard, and what its lists cost.",
    (
        Row(
            "Lists",
            (
                Panel(
                    "Answers by student",
                    "A student that a caller chose with `variant` counts here, too.",
                    (
                        Query(
                            rate_of("interests_queries_total", "student", _STUDENT), "{{student}}"
                        ),
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Answers by rung",
                    "The higher the share of fresh, the more the engines have to write.",
                    (
                        Query(
                            rate_of("interests_queries_total", "student, source", _STUDENT),
                            "{{student}} {{source}}",
                        ),
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Not heard",
                    "Answers from key phrases, of the users of whom something is known.",
                    (
                        share(
                            rate_of(
                                "interests_queries_total",
                                "student",
                                f'{_STUDENT}, source="heuristic"',
                            ),
                            rate_of(
                                "interests_queries_total", "student", f'{_STUDENT}, source!="none"'
                            ),
                            "{{student}}",
                        ),
                    ),
                    unit="percentunit",
                    steps=(0.05, 0.72),
                ),
                Panel(
                    "Why lists were missing or short",
                    "All students together. invalid: it wrote nothing usable. partial: cut off.",
                    (
                        Query(
                            rate_of(
                                "interests_degraded_total", "reason", 'reason=~"generation_.+"'
                            ),
                            "{{reason}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Time to a list",
                    "Of the stage that gets a list, kept ones among them.",
                    quantiles("interests_stage_seconds", 'stage="generate"'),
                    unit="s",
                ),
                Panel(
                    "Calls by outcome",
                    "late: done after the answer had left, for the next request. shed: no room."
                    " shared: another call with the same prompt was in flight.",
                    (
                        Query(
                            rate_of("interests_engine_calls_total", "outcome", _STUDENT),
                            "{{outcome}}",
                        ),
                    ),
                    unit="reqps",
                ),
            ),
        ),
        Row(
            "Tokens",
            (
                Panel(
                    "Tokens a second",
                    "cached is the part of prompt that the engine had in its cache.",
                    (
                        Query(
                            rate_of("interests_tokens_total", "student, kind", _STUDENT),
                            "{{student}} {{kind}}",
                        ),
                    ),
                ),
                Panel(
                    "Of the prompt, cached",
                    "Low after a change of the template, or where the engine's cache is too small.",
                    (
                        share(
                            rate_of(
                                "interests_tokens_total", "student", f'{_STUDENT}, kind="cached"'
                            ),
                            rate_of(
                                "interests_tokens_total", "student", f'{_STUDENT}, kind="prompt"'
                            ),
                            "{{student}}",
                        ),
                    ),
                    unit="percentunit",
                ),
                Panel(
                    "Tokens written for a fresh list",
                    "A sudden rise is a student that does not find its end.",
                    (
                        share(
                            rate_of(
                                "interests_tokens_total", "student", f'{_STUDENT}, kind="output"'
                            ),
                            rate_of(
                                "interests_queries_total", "student", f'{_STUDENT}, source="fresh"'
                            ),
                            "{{student}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
    choices=(("student", "label_values(interests_queries_total, student)"),),
)
