"""The real opensearch for tests."""
