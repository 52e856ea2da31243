"""The use cases: what the command line and the API have in common."""
