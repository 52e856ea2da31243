"""Names and texts as SQL: pure text, no I/O."""

from sqlalchemy.dialects import mysql


# The default dialect doubles `%`, which would change names in a dump file.
_PREPARER = mysql.dialect(paramstyle="named").identifier_preparer


def quote(name: str) -> str:
    """Quote an identifier, backticks doubled."""
    return str(_PREPARER.quote_identifier(name))


def quote_text(text: str) -> str:
    """Quote a string literal for a session without NO_BACKSLASH_ESCAPES."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def qualified(database: str, name: str) -> str:
    """Quote a name with its database."""
    return f"{quote(database)}.{quote(name)}"
