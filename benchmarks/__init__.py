"""Benchmarks of Backstay against its peers, on generated data and a private server."""
