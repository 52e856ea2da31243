"""CREATE EVENT as SHOW CREATE prints it: whether it is enabled, and until when; pure text, no I/O."""

import re
from typing import Final

from app.engine.sql.ddl import is_quoted, tokens


_STATUS: Final = re.compile(
    r"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)\b",
)
_SCHEDULE: Final = "ON SCHEDULE "
_LAST_TIME: Final = (" ON SCHEDULE AT ", " ENDS ")


def disabled_event(sql: str) -> tuple[str, bool]:
    """Return a CREATE EVENT that does not fire yet, and whether it was enabled."""
    return _with_status(sql, {"ENABLE"}, "DISABLE")


def enabled_event(sql: str) -> str:
    """Return a CREATE EVENT that is disabled as one that fires."""
    return _with_status(sql, {"DISABLE"}, "ENABLE")[0]


def last_time(sql: str) -> str:
    """Return the quoted time after which an event never fires, in its own zone; empty when there is none."""
    parts = tokens(sql)
    for index, part in enumerate(parts):
        if is_quoted(part):
            continue
        if _STATUS.search(part):
            break
        if part.endswith(_LAST_TIME) and index + 1 < len(parts):
            return parts[index + 1]
    return ""


def schedule(sql: str) -> tuple[str, bool]:
    """Return when an event fires, from ON SCHEDULE on, and whether it stays when it is over."""
    begin, offset = -1, 0
    for part in tokens(sql):
        if not is_quoted(part):
            begin = begin if begin >= 0 or _SCHEDULE not in part else offset + part.index(_SCHEDULE)
            if found := _STATUS.search(part):
                return sql[begin : offset + found.start()], "NOT" not in found[1]
        offset += len(part)
    return "", True


def _with_status(sql: str, old: set[str], new: str) -> tuple[str, bool]:
    """Replace one status by another; and tell whether it was that one."""
    parts = tokens(sql)
    for index, part in enumerate(parts):
        if not is_quoted(part) and (found := _STATUS.search(part)):
            if found[2] not in old:
                return sql, False
            parts[index] = part[: found.start(2)] + new + part[found.end(2) :]
            return "".join(parts), True
    return sql, False
