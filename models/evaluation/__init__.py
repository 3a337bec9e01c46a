"""How good queries are: users to judge on, searching and ranking as served, measures, intervals.

Where the users come from is `models.simulation` and `models.mind`; what asks an engine for the
lists is `models.engine`.
"""
