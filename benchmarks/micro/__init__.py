"""Benchmarks of the hot pieces, run by pytest-benchmark: `make bench ARGS="--only micro"`."""
