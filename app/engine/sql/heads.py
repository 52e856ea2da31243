"""
Where the head of a CREATE ends and its author's text begins: pure text, no I/O.

Servers write the head themselves, and not always in the character set of the rest.
"""

import re
from collections.abc import Sequence
from typing import Final

from app.domain.backups.manifest import ObjectKind
from app.engine.sql.ddl import tokens


_ENDS: Final = {
    ObjectKind.TRIGGER: re.compile(r"\bFOR EACH ROW\b"),
    ObjectKind.EVENT: re.compile(
        r" ON COMPLETION (?:NOT )?PRESERVE (?:ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)\b"
    ),
    # Characteristics stand on lines of their own, indented.
    ObjectKind.FUNCTION: re.compile(r"(?=\n(?!    ))"),
    ObjectKind.PROCEDURE: re.compile(r"(?=\n(?!    ))"),
}
_QUOTES: Final = ("'", '"', "`")


def split_head(kind: ObjectKind, sql: str) -> tuple[list[str], str]:
    """
    Split a CREATE, as SHOW CREATE prints it, before its author's text.

    Returns:
        The head in tokens, those in quotes by themselves, and the rest; nothing of a head whose end is
        not known.
    """
    parts = tokens(sql)
    end = _ENDS.get(kind)
    depth = 0
    for index, part in enumerate(parts):
        depth += (part == "(") - (part == ")")
        found = end.search(part) if end and depth == 0 and not is_quoted(part) else None
        if found is None:
            continue
        if kind is ObjectKind.EVENT and part[found.end() :].startswith(" COMMENT"):
            return parts[: index + 2], "".join(parts[index + 2 :])
        return [*parts[:index], part[: found.end()]], _joined(
            part[found.end() :], parts[index + 1 :]
        )
    return [], sql


def is_quoted(part: str) -> bool:
    """Tell whether a token is a name or text in quotes."""
    return part.startswith(_QUOTES)


def _joined(first: str, others: Sequence[str]) -> str:
    return "".join((first, *others))
