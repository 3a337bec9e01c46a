"""Redis: connections, scripts and refusals, for every room that keeps something there."""
