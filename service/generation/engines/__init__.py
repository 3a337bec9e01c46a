"""The engines and the calls to them: the protocol, the queue before each, retries and health.

What is asked and what becomes of the answer (parsing, consensus, the ladder) is one package up.
"""
