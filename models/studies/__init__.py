"""Scripts that answer one question each, for a document or a decision, and what they share.

What a command, a training or an evaluation needs does not belong here.
"""
