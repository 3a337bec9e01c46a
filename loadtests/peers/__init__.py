"""Other systems that do a part of what the gateway does, measured beside it in one run."""
