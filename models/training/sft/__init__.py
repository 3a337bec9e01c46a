"""Supervised training on simulated users: its configuration, labels, examples and trainer.

What another technique would need too belongs to `models.training`.
"""
