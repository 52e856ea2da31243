"""Patterns of table names: pure text, no I/O."""

from fnmatch import fnmatchcase


def matches(database: str, name: str, pattern: str) -> bool:
    """Match a name or `database.name` exactly or as a glob."""
    full = f"{database}.{name}"
    return pattern in {name, full} or fnmatchcase(name, pattern) or fnmatchcase(full, pattern)
