"""Texts into vectors, so that articles are found by what they mean."""
