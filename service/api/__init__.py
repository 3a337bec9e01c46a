"""HTTP: routes, wire schemas, keys, and the one table from error to status."""
