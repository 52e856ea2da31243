"""Session variables as they are set and as they are shown: pure text, no I/O."""

from typing import Final

from app.engine.sql.quoting import quote_text


_ON: Final = {"on": "1", "off": "0"}


def literal(value: str) -> str:
    """Write the value of a session variable."""
    return value if value.isdigit() or value == "DEFAULT" else quote_text(value)


def is_same(wanted: str, shown: str) -> bool:
    """Tell whether two spellings of a value mean the same."""
    return _comparable(wanted) == _comparable(shown)


def _comparable(value: str) -> frozenset[str]:
    """Make what was set and what is shown alike: ON is 1, 0.000000 is 0, modes have no order."""
    parts = (_ON.get(part, part) for part in value.lower().split(","))
    return frozenset(part.removesuffix(".000000") for part in parts)
