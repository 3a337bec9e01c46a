"""What a gateway does when more is asked of it than it can answer: docs/operating/overload.md."""
