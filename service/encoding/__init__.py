"""Texts into vectors, so that articles are found by what they mean."""

import os

# ONNX Runtime's builds for Linux send usage data to Microsoft unless they are told not to, and they
# read this when they are imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
