"""Faults that were once found, tried again: `python -m loadtests.attack`."""
