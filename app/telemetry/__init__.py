"""Log lines: what stands on each of them, what never does, and where they go."""
