"""
Bytes at rest: durable writes, ranged reads, locks, and the names of files.

Import `LocalDirectory`, `layout`, and the store of each kind of file; only tests pass another `Kernel`.
"""
