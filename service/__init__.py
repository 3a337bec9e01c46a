"""The online gateway: signals in, queries written, candidates out, before the deadline."""

__version__ = "0.1.0"
