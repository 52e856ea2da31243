"""Names and texts as SQL: pure text, no I/O."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from sqlalchemy.dialects import mysql


# Source: https://mariadb.com/kb/en/identifier-names/#maximum-length
MOST_NAME_CHARACTERS: Final = 64
# A text, a name, or what is between them.
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`|[^'`]+", re.DOTALL)
# The default dialect doubles `%`, which would change names in a dump file.
_PREPARER = mysql.dialect(paramstyle="named").identifier_preparer


# CR because the mysql client rewrites it, NUL and ^Z because they end texts for somebody.
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0", "\r": "\\r", "\x1a": "\\Z"})


def quote(name: str) -> str:
    """Quote an identifier, backticks doubled."""
    return str(_PREPARER.quote_identifier(name))


def quote_text(text: str) -> str:
    """Quote a string literal for a session without NO_BACKSLASH_ESCAPES."""
    return f"'{text.translate(_ESCAPES)}'"


def same_name(column: str, name: str) -> str:
    """Return a condition for one name in a column of information_schema."""
    return same_names(column, (name,))


def same_names(column: str, names: Iterable[str]) -> str:
    """
    Compare a column of information_schema with some names, at least one.

    Its own comparisons ignore case and accents: to them `Shop` is `shop`, and `cafe` is `café`. MariaDB looks
    only the first of a list up where all of it are one to them, so to several a name is added that nothing has.

    Returns:
        A condition; the plain comparison is in it because the server opens only what that names.
    """
    listed = [*map(quote_text, names)]
    texts = ", ".join(listed if len(listed) == 1 else [*listed, "''"])
    return f"({column} IN ({texts}) AND CAST({column} AS BINARY) IN ({texts}))"


def qualified(database: str, name: str) -> str:
    """Quote a name with its database."""
    return f"{quote(database)}.{quote(name)}"


def about_package(sql: str) -> str:
    """Return a statement that names a PACKAGE: MariaDB before 11.4 knows the word in the mode of Oracle only."""
    return f"SET STATEMENT sql_mode = 'ORACLE' FOR EXECUTE IMMEDIATE {quote_text(sql)}"


def matches(database: str, name: str, pattern: str) -> bool:
    """Match a name or `database.name` exactly or as a glob."""
    full = f"{database}.{name}"
    return pattern in {name, full} or fnmatchcase(name, pattern) or fnmatchcase(full, pattern)


def folded(sql: str) -> str:
    """Put all but texts in quotes in lower case, as a server that folds names prints some of a view's."""
    return _QUOTED.sub(lambda part: part[0] if part[0].startswith("'") else part[0].lower(), sql)
