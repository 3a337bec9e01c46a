"""Load scenarios, the engine simulator, and the benches behind every figure we quote."""
