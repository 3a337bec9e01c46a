"""The real vllm for tests."""
