"""What the service does unless it is told otherwise, for all who must do as it does.

The settings, the contract and the offline evaluation take these from here, so that what is measured
is what is served.
"""

from __future__ import annotations

MAX_QUERIES = 8
"""Queries that a student may write."""
LIMIT = 100
"""Candidates of an answer."""
HITS_PER_QUERY = 50
"""Hits taken from each query."""
OWN_SIGNALS = 12
"""Newest signals, of those that the list does not name, that are searched beside it."""
OWN_WEIGHT = 0.67
"""Weight of such a signal's query, where one of the list weighs 1."""
POPULAR_SIZE = 500
"""Most popular articles that stand beside what is searched."""
