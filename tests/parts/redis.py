"""The real redis for tests."""
