"""Stage three: articles for the queries, merged into candidates."""
