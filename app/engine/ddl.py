"""
What SHOW CREATE prints, taken apart by a tokenizer: pure text, no I/O.

Names and comments may hold commas, parentheses, quotes and line breaks, so nothing here searches
the text without knowing what is quoted.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from app.engine.quoting import quote


# A quoted stretch, one bracket or comma, or a run of anything else.
_TOKEN: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|[(),]|[^'"`(),]+""",
    re.DOTALL,
)
_AUTO_INCREMENT: Final = re.compile(r" AUTO_INCREMENT=\d+")
_DIRECTORY: Final = re.compile(r" (?:DATA|INDEX) DIRECTORY=\Z")
_EVENT_STATUS: Final = re.compile(
    r"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)\b",
)


@dataclass(frozen=True, slots=True)
class StagedTable:
    """
    A table's definition in the order that loads fastest.

    Attributes:
        create: Without foreign keys and, when asked, without deferrable indexes.
        indexes: `ADD ...` clauses for one ALTER TABLE.
        fulltext: `ADD ...` clauses, one ALTER TABLE each, because InnoDB builds one at a time.
        foreign_keys: `ADD ...` clauses for one ALTER TABLE after all tables are there.
    """

    create: str
    indexes: tuple[str, ...]
    fulltext: tuple[str, ...]
    foreign_keys: tuple[str, ...]


def tokens(sql: str) -> list[str]:
    """Cut a statement into quoted stretches, brackets, commas and the rest; joined they give it back."""
    return _TOKEN.findall(sql)


def unqualify(sql: str, database: str) -> str:
    """Remove one database's name where it qualifies another name, outside of texts."""
    own = quote(database)
    parts = tokens(sql)
    kept: list[str] = []
    skip_dot = False
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else ""
        # `a`.`db`.`c` cannot occur: a database's name is always the first of its chain.
        after_dot = bool(kept) and kept[-1].endswith(".")
        if part == own and following.startswith(".") and not after_dot:
            skip_dot = True
            continue
        kept.append(part[1:] if skip_dot else part)
        skip_dot = False
    return "".join(kept)


def fingerprint(sql: str, database: str) -> str:
    """Digest a definition so that it is equal under another database name and counter."""
    plain = "".join(
        part if part[0] in "'\"`" else _AUTO_INCREMENT.sub("", part)
        for part in tokens(unqualify(sql, database))
    )
    return hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()


def without_directories(sql: str) -> str:
    """Drop DATA DIRECTORY and INDEX DIRECTORY: they write outside of the server's own directory."""
    kept: list[str] = []
    for part in tokens(sql):
        if part.startswith("'") and kept and _DIRECTORY.search(kept[-1]):
            kept[-1] = _DIRECTORY.sub("", kept[-1])
        else:
            kept.append(part)
    return "".join(kept)


def disabled_event(sql: str) -> tuple[str, bool]:
    """Return a CREATE EVENT with its status set to DISABLE, and whether it was enabled."""
    parts = tokens(sql)
    for index, part in enumerate(parts):
        if found := _EVENT_STATUS.search(part):
            parts[index] = part[: found.start(2)] + "DISABLE" + part[found.end(2) :]
            return "".join(parts), found[2] == "ENABLE"
    return sql, False


def staged(sql: str, *, defer_indexes: bool) -> StagedTable:
    """
    Take a CREATE TABLE apart for loading.

    Args:
        sql: From SHOW CREATE TABLE.
        defer_indexes: Whether secondary indexes are built after the data. Unique ones only when
            there is a primary key, and never one that an AUTO_INCREMENT column needs.

    Returns:
        All parts; executed in order they make the table of `sql`.
    """
    head, items, tail = _items(without_directories(sql))
    has_primary = any(item.startswith("PRIMARY KEY") for item in items)
    counter = next((_first_name(item) for item in items if _is_counter(item)), None)
    kept: list[str] = []
    groups: dict[str, list[str]] = {"KEY": [], "FULLTEXT": [], "FOREIGN": []}
    for item in items:
        group = _group(item, unique=has_primary)
        needed = counter is not None and group == "KEY" and _leads_with(item, counter)
        if group == "FOREIGN" or (group is not None and defer_indexes and not needed):
            groups[group].append(f"ADD {item}")
        else:
            kept.append(item)
    create = f"{head}\n  " + ",\n  ".join(kept) + f"\n{tail}" if items else sql
    return StagedTable(
        create=create,
        indexes=tuple(groups["KEY"]),
        fulltext=tuple(groups["FULLTEXT"]),
        foreign_keys=tuple(groups["FOREIGN"]),
    )


def _items(sql: str) -> tuple[str, list[str], str]:
    """Split into what stands before the bracket, the items inside it, and what follows."""
    parts = tokens(sql)
    depth = 0
    begin = end = -1
    items: list[str] = []
    current: list[str] = []
    for index, part in enumerate(parts):
        depth += (part == "(") - (part == ")")
        if part == "(" and depth == 1 and begin < 0:
            begin = index
        elif part == ")" and depth == 0:
            end = index
            break
        elif part == "," and depth == 1:
            items.append("".join(current).strip())
            current = []
        elif begin >= 0:
            current.append(part)
    if end < 0:
        return sql, [], ""
    items.append("".join(current).strip())
    return "".join(parts[: begin + 1]), items, "".join(parts[end:])


def _group(item: str, *, unique: bool) -> str | None:
    if item.startswith("KEY ") or (unique and item.startswith("UNIQUE KEY ")):
        return "KEY"
    if item.startswith("FULLTEXT KEY "):
        return "FULLTEXT"
    if item.startswith("CONSTRAINT ") and tokens(item)[2].startswith(" FOREIGN KEY"):
        return "FOREIGN"
    return None


def _is_counter(item: str) -> bool:
    return item.startswith("`") and any(
        " AUTO_INCREMENT" in part for part in tokens(item) if part[0] not in "'\"`"
    )


def _first_name(item: str) -> str:
    return tokens(item)[0]


def _leads_with(item: str, name: str) -> bool:
    parts = tokens(item)
    return "(" in parts and parts[parts.index("(") + 1] == name
