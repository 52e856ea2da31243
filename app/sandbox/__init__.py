"""
A private MariaDB server for the demo, the tests and the benchmarks, never for a user's data.

Import `PrivateServer` and `shop`.
"""
