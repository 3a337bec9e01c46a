"""One card: what an engine on it does behind the gateway, beside what it does by itself."""
