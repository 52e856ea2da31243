"""
What statements of a binary log do to the status of events; pure text, no I/O.

An event that a replica makes or alters is disabled there, whatever the statement says. So what the statement
says is kept here: its words up to DO, for what follows is the event's own text.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


# What stands in /*!50106 ... */ is executed; the marks are passed over, and ordinary comments whole.
_TOKEN: Final = re.compile(
    r"/\*M?!\d*|\*/|/\*.*?\*/|--[ \t][^\n]*|\#[^\n]*|(`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'"
    r"|\"(?:[^\"\\]|\\.|\"\")*\"|[\w$]+|[.@=();,])",
    re.DOTALL,
)
# Longer than any head of an event, shorter than a body that may be a megabyte.
_READ: Final = 64 << 10
_MAYBE: Final = re.compile(r"\b(?:EVENT|DATABASE|SCHEMA)\b", re.IGNORECASE)


class EventStatus(StrEnum):
    """What an event does on the server it was made for."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    ELSEWHERE = "ELSEWHERE"  # made for another server, and disabled on this one


Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class EventChange:
    """
    What a statement does.

    Attributes:
        verb: CREATE, ALTER or DROP.
        name: Database and event; of a dropped database the event is empty.
        status: That it gives; None = it does not say.
        renamed: New name; None = it keeps its own.
        keeps: Whether an event of that name stays as it is.
    """

    verb: str
    name: Name
    status: EventStatus | None = None
    renamed: Name | None = None
    keeps: bool = False


class EventStatuses:
    """The status of events by name, statement by statement; names in any case."""

    def __init__(self, known: dict[Name, EventStatus]) -> None:
        self._known = {_folded(name): status for name, status in known.items()}

    def find(self, name: Name) -> EventStatus | None:
        """Return what an event does; None when nothing is known of it."""
        return self._known.get(_folded(name))

    def accept(self, database: str, text: str) -> None:
        """Take the next statement, executed in a database."""
        change = event_change(database, text)
        if change is None:
            return
        name = _folded(change.name)
        match change.verb:
            case "CREATE":
                if not (change.keeps and name in self._known):
                    self._known[name] = change.status or EventStatus.ENABLED
            case "ALTER":
                status = change.status or self._known.pop(name, EventStatus.ENABLED)
                self._known.pop(name, None)
                self._known[_folded(change.renamed or change.name)] = status
            case _:
                whole = not change.name[1]
                for known in [*self._known]:
                    if known == name or (whole and known[0] == name[0]):
                        del self._known[known]


def event_change(database: str, text: str) -> EventChange | None:
    """
    Read a statement.

    Args:
        database: In which it was executed.
        text: All of it.

    Returns:
        What it does to events; None when it is about something else.
    """
    if not _MAYBE.search(text, 0, _READ):
        return None
    words = [token for token in _TOKEN.findall(text[:_READ]) if token]
    head = [word.upper() for word in words[:2]]
    if head[:1] == ["DROP"] and head[1:] in (["DATABASE"], ["SCHEMA"]):
        rest = words[4:] if words[2:3] and words[2].upper() == "IF" else words[2:]
        return EventChange("DROP", (_plain(rest[0]), "")) if rest else None
    place = _event_keyword(words)
    if place is None:
        return None
    rest = words[place + 1 :]
    keeps = [word.upper() for word in rest[:3]] == ["IF", "NOT", "EXISTS"]
    skipped = 3 if keeps else 2 if rest[:1] and rest[0].upper() == "IF" else 0
    name, rest = _name(database, rest[skipped:])
    status, renamed = _clauses(database, rest)
    return EventChange(head[0], name, status, renamed, keeps=keeps)


def _event_keyword(words: list[str]) -> int | None:
    """Find EVENT where it says what is created, altered or dropped."""
    upper = [word.upper() for word in words[:16]]
    if upper[:1] not in (["CREATE"], ["ALTER"], ["DROP"]):
        return None
    at = 3 if upper[1:3] == ["OR", "REPLACE"] else 1
    if upper[at : at + 2] == ["DEFINER", "="]:
        at += 3  # and the user
        if upper[at : at + 1] == ["@"] or upper[at : at + 2] == ["(", ")"]:
            at += 2
    return at if upper[at : at + 1] == ["EVENT"] else None


def _name(database: str, words: list[str]) -> tuple[Name, list[str]]:
    if words[1:2] == ["."] and len(words) > 2:  # noqa: PLR2004 - name, dot, name
        return (_plain(words[0]), _plain(words[2])), words[3:]
    return (database, _plain(words[0]) if words else ""), words[1:]


def _clauses(database: str, words: list[str]) -> tuple[EventStatus | None, Name | None]:
    """Read what stands before DO."""
    status: EventStatus | None = None
    renamed: Name | None = None
    upper = [word.upper() for word in words]
    for index, word in enumerate(upper):
        if word == "DO":
            break
        if word == "ENABLE":
            status = EventStatus.ENABLED
        elif word == "DISABLE":
            elsewhere = upper[index + 1 : index + 3] in (["ON", "SLAVE"], ["ON", "REPLICA"])
            status = EventStatus.ELSEWHERE if elsewhere else EventStatus.DISABLED
        elif upper[index : index + 2] == ["RENAME", "TO"]:
            renamed, _ = _name(database, words[index + 2 :])
    return status, renamed


def _plain(word: str) -> str:
    """Take a name out of its quotes."""
    mark = word[:1]
    return word[1:-1].replace(mark * 2, mark) if mark in {"`", '"'} else word


def _folded(name: Name) -> Name:
    return name[0].casefold(), name[1].casefold()
