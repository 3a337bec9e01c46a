"""From a packaged base and an adapter to a student that can be served: built, sealed, verified.

It runs without torch. How an adapter is trained is `models.training`.
"""
