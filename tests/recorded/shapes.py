"""
Documents without what differs from call to call: keys, types, and the words that programs look for.

A leaf is what it may be, alternatives with ` | ` between them: a type of JSON, the form of an
identifier or an instant, or a value that is part of the promise, in quotes.
"""

import difflib
import json
import re
from collections.abc import Mapping
from functools import reduce
from typing import Any, Final


Shape = Any

_WIDTH: Final = 100
_EITHER: Final = " | "
_ALTERNATIVES: Final = "one of"
_ABSENT: Final = "absent"
# Words that programs compare with; everything else is data, or text for people.
_KEPT: Final = frozenset({
    "action",
    "asked_by",
    "by",
    "code",
    "codec",
    "cron",
    "error",
    "estimated_by",
    "expression",
    "frequency",
    "kind",
    "level",
    "name",
    "origin",
    "outcome",
    "phase",
    "result",
    "role",
    "state",
    "status",
    "title",
    "token_type",
    "tone",
    "type",
    "what",
})
# How they come out depends on how fast a machine is.
_CHANCE: Final = {
    "seconds_left": "null | number",
    # Whole seconds of MariaDB's log, finer ones of MySQL's and of heartbeats.
    "committed_at": "instant | null | precise instant",
    "current_as_of": "instant | null | precise instant",
    "last_error": "null | string",
}
_FORMS: Final = {
    "backup id": r"backup_[0-9a-f]{13}",
    "restore id": r"restore_[0-9a-f]+",
    "run id": r"run_[0-9a-f]{16}",
    "alert id": r"alert_[0-9a-f]+",
    "SHA-256": r"[0-9a-f]{64}",
    "instant": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "precise instant": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|\+00:00)",
    "moment": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "file of a backup": r"backup_[^/]*\.sql(?:\.gz|\.zst)?(?:\.age)?",
    "person of this machine": r"os:.+",
}


def shape(value: object, key: str = "") -> Shape:
    """
    Describe a document.

    Args:
        value: What `json.loads` made.
        key: Under which it stands.

    Returns:
        The same nesting; of a list what its elements have in common, and what only some have.
    """
    if key in _CHANCE:
        return _CHANCE[key]
    if isinstance(value, Mapping):
        return {name: shape(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [reduce(merged, (shape(element, key) for element in value))] if value else []
    return _leaf(value, key)


def _leaf(value: object, key: str) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        forms = (name for name, like in _FORMS.items() if re.fullmatch(like, value))
        return next(forms, repr(value) if key in _KEPT else "string")
    return repr(value) if key in _KEPT else {int: "integer", float: "number"}[type(value)]


def merged(first: Shape, other: Shape) -> Shape:
    """Describe what has either shape."""
    if isinstance(first, str) and isinstance(other, str):
        return _EITHER.join(sorted({*first.split(_EITHER), *other.split(_EITHER)}))
    if isinstance(first, list) and isinstance(other, list):
        return [reduce(merged, (*first, *other))] if first or other else []
    if _is_object(first) and _is_object(other):
        return {
            key: merged(first.get(key, _ABSENT), other.get(key, _ABSENT))
            for key in {**first, **other}
        }
    return _alternatives(first, other)


def _is_object(shape: Shape) -> bool:
    return isinstance(shape, dict) and _ALTERNATIVES not in shape


def _alternatives(*shapes: Shape) -> Shape:
    """Describe what is of different types, each type once."""
    known: dict[type, Shape] = {}
    for shape in shapes:
        several = isinstance(shape, dict) and not _is_object(shape)
        for alternative in shape[_ALTERNATIVES] if several else [shape]:
            kind = type(alternative)
            known[kind] = merged(known[kind], alternative) if kind in known else alternative
    return {_ALTERNATIVES: sorted(known.values(), key=text)}


def text(document: object, indent: str = "") -> str:
    """Write a document as JSON in one order, what fits into a line on one."""
    line = json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)
    if not isinstance(document, dict | list) or len(indent) + len(line) <= _WIDTH:
        return line
    deeper = indent + " "
    if isinstance(document, list):
        parts = [text(element, deeper) for element in document]
    else:
        parts = [f"{json.dumps(key)}: {text(document[key], deeper)}" for key in sorted(document)]
    opening, closing = "[]" if isinstance(document, list) else "{}"
    inside = f",\n{deeper}".join(parts)
    return f"{opening}\n{deeper}{inside}\n{indent}{closing}"


def difference(recorded: object, found: object) -> str:
    """Show what has changed, line by line; empty when nothing has."""
    before, now = text(recorded).splitlines(), text(found).splitlines()
    lines = difflib.unified_diff(before, now, "recorded", "found", n=8, lineterm="")
    return "\n".join(lines)
