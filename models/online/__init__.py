"""Simulated readers that use a running service over HTTP: for experiments from end to end."""
