"""Words and stems of texts, and which of them say nothing: what all stages take a word to be.

How articles and queries become terms of an index is `service.retrieval.indexes.analysis`.
"""
