"""What stands before the statements of every member, so that the mysql client loads it right."""

import re
from typing import Final

from app.domain.backups.manifest import StatementKind
from app.domain.ports import Statement
from app.engine.sql.quoting import quote


# Repeated in each member: whoever cuts one out of the file gets no shifted TIMESTAMP from it.
_SESSION: Final = (
    b"SET NAMES utf8mb4, SESSION time_zone = '+00:00', SESSION foreign_key_checks = 0,"
    b" SESSION unique_checks = 0, SESSION sql_mode ="
    b" 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION',"
    b" SESSION div_precision_increment = 4, SESSION default_week_format = 0,"
    b" SESSION lc_time_names = 'en_US';\n"
    b"/*M! SET SESSION check_constraint_checks = 0 */;\n"
)
# The clients stop at a NUL, also in a comment, and a terminal obeys the others.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HISTORY: Final = b"/*M!101100 SET SESSION system_versioning_insert_history = 1 */;\n"


def member_prelude(
    database: str, *, single: bool, history: bool = False, settings: str = ""
) -> list[Statement]:
    """
    Begin a member.

    Args:
        database: Which one the member belongs to.
        single: Whether the file holds one database and so does not name it.
        history: Whether the member holds row versions of the past.
        settings: What else its session needs, a SET without a terminator; may be empty.

    Returns:
        Statements for the mysql client; a load by this program passes them over.
    """
    use = (
        [] if single else [Statement(StatementKind.DATABASE, f"USE {quote(database)};\n".encode())]
    )
    text = _SESSION + _HISTORY if history else _SESSION
    if settings:
        text += f"{settings};\n".encode()
    return [*use, Statement(StatementKind.TEXT, text)]


def header(lines: list[str], databases: list[tuple[str, str, str]]) -> list[Statement]:
    """
    Begin the file.

    Args:
        lines: Comments for people; line breaks in them are replaced, and control characters escaped.
        databases: Name, character set and collation of each, when the file names them.

    Returns:
        The statements of the header member.
    """
    text = "".join(f"-- {_CONTROL.sub(_escaped, ' '.join(line.splitlines()))}\n" for line in lines)
    statements = [Statement(StatementKind.TEXT, text.encode())]
    for name, charset, collation in databases:
        sql = (
            f"CREATE DATABASE IF NOT EXISTS {quote(name)}"
            f" DEFAULT CHARACTER SET {charset} COLLATE {collation};\n"
        )
        statements.append(Statement(StatementKind.DATABASE, sql.encode(), name=name))
    return statements


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
