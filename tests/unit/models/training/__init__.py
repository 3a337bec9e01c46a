"""Training: configuration, watch, command."""
