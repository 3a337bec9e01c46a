"""Stage two: the queries, from a kept list, an engine or a heuristic."""
