"""The online gateway: signals in, queries written, candidates out, before the deadline."""
