"""Bytes at rest: durable writes, ranged reads, locks, and the names of files."""
