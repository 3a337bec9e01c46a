"""Readers that this project wrote, and which articles are for them: an open benchmark.

`README.md` beside this file is its data card.
"""
