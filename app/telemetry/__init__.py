"""
Log lines: what stands on each of them, what never does, and where they go.

Import `start_logging`, `context` for the facts of a task, and `masking.pieces` for what is secret.
"""
