"""What answers requests in the peers' own environment; nothing here imports the service."""
