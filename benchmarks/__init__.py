"""Measurements of libmaze: `python -m benchmarks.<name>` prints its table."""
