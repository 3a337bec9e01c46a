"""The dashboard of the service: what callers get. A panel's text says what to make of it."""

from __future__ import annotations

from deploy.grafana.panels import Dashboard, Panel, Query, Row
from deploy.grafana.queries import ANSWERS, p95_by, quantiles, rate_of, share


def _objective(title: str, record: str, budget: float, what: str) -> Panel:
    return Panel(
        title,
        f"{what} Over the last hour. Yellow from the budget ({budget:.1%}) on, red where it pages"
        " or becomes a ticket at once (14.4 times the budget).",
        (Query(f"interests:{record}:ratio_rate1h"),),
        unit="percentunit",
        kind="stat",
        width=4,
        steps=(budget, round(14.4 * budget, 4)),
    )


SERVICE = Dashboard(
    "service",
    "interests: the service",
    "What callers get: the objectives, the traffic, how answers were made, the parts.",
    (
        Row(
            "Objectives (docs/operating/slos.md)",
            (
                _objective("Failed", "failed", 0.001, "Answers that were a server's error."),
                _objective("Refused", "refused", 0.005, "Requests refused with 429."),
                _objective("Late", "late", 0.001, "Answers ready after their deadline."),
                _objective(
                    "Popular alone",
                    "unsearched",
                    0.01,
                    "Answers that searched nothing of the user.",
                ),
                _objective(
                    "Without a student", "unwritten", 0.05, "Answers made from key phrases."
                ),
                Panel(
                    "Alerts",
                    "How many alerts fire now.",
                    (
                        Query(
                            'count(ALERTS{alertname=~"Interests.+", alertstate="firing"})'
                            " or vector(0)"
                        ),
                    ),
                    kind="stat",
                    width=4,
                    steps=(1, 3),
                ),
            ),
        ),
        Row(
            "Traffic",
            (
                Panel(
                    "Answers by status",
                    "429 are refusals; 499 are callers that left before their answer.",
                    (Query(rate_of("interests_requests_total", "status", ANSWERS), "{{status}}"),),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Time to the answer",
                    "From the first byte to the answer, refusals among them.",
                    quantiles("interests_request_seconds", ANSWERS),
                    unit="s",
                ),
                Panel(
                    "In work",
                    "Requests in work, by gateway. interests_admission_limit bounds each.",
                    (Query("interests_in_flight", "{{instance}}"),),
                ),
            ),
        ),
        Row(
            "How answers were made",
            (
                Panel(
                    "Where queries came from",
                    "reused and fresh are the student's newest; stale is older; heuristic are key"
                    " phrases; none: nothing is known of the user.",
                    (Query(rate_of("interests_queries_total", "source"), "{{source}}"),),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Where candidates came from",
                    "popular: no queries, no hits, or no index.",
                    (Query(rate_of("interests_candidates_total", "source"), "{{source}}"),),
                    unit="reqps",
                    stacked=True,
                ),
                Panel(
                    "Degraded, by reason",
                    "docs/api.md says what each reason means and what was served.",
                    (Query(rate_of("interests_degraded_total", "reason"), "{{reason}}"),),
                    unit="reqps",
                ),
            ),
        ),
        Row(
            "Stages and parts",
            (
                Panel(
                    "Time in each stage, p95",
                    "Each stage ends by itself before its share of the deadline is over.",
                    (p95_by("interests_stage_seconds", "stage"),),
                    unit="s",
                ),
                Panel(
                    "Errors in stages",
                    "Mostly answered for by a lower rung; `unexpected` is a fault of the gateway.",
                    (
                        Query(
                            rate_of("interests_stage_errors_total", "stage, reason") + " > 0",
                            "{{stage}} {{reason}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Coverage",
                    "Of the queries to search, and of the shards of the index: what answered.",
                    (
                        share(
                            rate_of("interests_runs_total", "", 'outcome="answered"'),
                            rate_of("interests_runs_total"),
                            "queries",
                        ),
                        share(
                            rate_of("interests_shards_total", "", 'outcome="answered"'),
                            rate_of("interests_shards_total"),
                            "shards",
                        ),
                    ),
                    unit="percentunit",
                ),
                Panel(
                    "Parts that answer",
                    "1 while a part answers its check in every gateway.",
                    (
                        Query("min by (part) (interests_part_up)", "{{part}}"),
                        Query("min by (node) (interests_index_node_up)", "{{node}}"),
                    ),
                ),
                Panel(
                    "Signals written",
                    "dropped: not newer than the user's deletion, or older than all that is kept."
                    " 503: Redis did not take them.",
                    (
                        Query(rate_of("interests_signals_written_total", "outcome"), "{{outcome}}"),
                        Query(
                            rate_of(
                                "interests_requests_total", "", 'route="/v1/signals", status="503"'
                            ),
                            "requests with 503",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Found in a cache",
                    "Of the searches of queries, and of the texts to encode.",
                    (
                        share(
                            rate_of("interests_query_cache_total", "", 'outcome!="miss"'),
                            rate_of("interests_query_cache_total"),
                            "query results",
                        ),
                        share(
                            rate_of("interests_encoder_cache_total", "", 'outcome="hit"'),
                            rate_of("interests_encoder_cache_total"),
                            "vectors",
                        ),
                    ),
                    unit="percentunit",
                ),
                Panel(
                    "Odd articles",
                    "Hits that are not as they should be: the index was loaded from a bad file.",
                    (Query(rate_of("interests_odd_articles_total"), "articles"),),
                    unit="reqps",
                ),
                Panel(
                    "Time since the start",
                    "Of each gateway: a saw tooth is a gateway that restarts.",
                    (
                        Query(
                            "time() - process_start_time_seconds"
                            " and on (job, instance) interests_build_info",
                            "{{instance}}",
                        ),
                    ),
                    unit="s",
                ),
            ),
        ),
    ),
)
