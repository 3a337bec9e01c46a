"""A student's engine, offline: the command that starts vLLM, and asking it for many users' lists.

How a request reaches an engine before its deadline is `service.generation`.
"""
