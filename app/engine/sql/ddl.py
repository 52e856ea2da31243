"""
What SHOW CREATE prints, taken apart by a tokenizer: pure text, no I/O.

Names and comments may hold commas, parentheses, quotes and line breaks, so nothing here searches
the text without knowing what is quoted.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.engine.sql.quoting import quote
from app.errors import UnsupportedObjectError


# A quoted stretch, one bracket or comma, a run of anything else, or a quote that nothing closes.
_TOKEN: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`]|``)*`|[(),]|[^'"`(),]+|['"`]""",
    re.DOTALL,
)
_AUTO_INCREMENT: Final = re.compile(r" AUTO_INCREMENT=\d+")
_SAID_TWICE: Final = re.compile(r" CHARACTER SET (\w+)(?= COLLATE \1_)")
_SAID_ALONE: Final = re.compile(r" CHARACTER SET (\w+)\b(?! COLLATE)")
# Of MySQL's character sets those whose default is no `general_ci`.
# Source: https://dev.mysql.com/doc/refman/8.4/en/charset-charsets.html
_DEFAULTS: Final = {
    **dict.fromkeys(("big5", "gb18030", "gb2312", "gbk"), "chinese_ci"),
    **dict.fromkeys(("cp932", "eucjpms", "sjis", "ujis"), "japanese_ci"),
    **dict.fromkeys(("dec8", "latin1", "swe7"), "swedish_ci"),
    "euckr": "korean_ci", "hp8": "english_ci", "latin5": "turkish_ci", "tis620": "thai_ci", "utf8mb4": "0900_ai_ci",
}  # fmt: skip
_OTHER_TABLES: Final = re.compile(r"\b(?:SELECT|TABLE|LIKE)\b")
# Partitions print it with blanks.
_DIRECTORY: Final = re.compile(r" (?:DATA|INDEX) DIRECTORY ?= ?\Z")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "'": "''", "\n": "\\n", "\r": "\\r", "\0": "\\0"},
)
_ESCAPED_BYTE: Final = re.compile("[\udc80-\udcff]")
_ESCAPE: Final = re.compile(r"\\.|''", re.DOTALL)
_UNESCAPES: Final = {r"\n": "\n", r"\r": "\r", r"\0": "\0", r"\Z": "\x1a", r"\t": "\t"}
# In a comment, or not, by version.
_ENCRYPTION: Final = re.compile(r"( /\*!80016)? ENCRYPTION=\Z")
_REMARK: Final = " /* "
_INDEX: Final = re.compile(r"(?:[A-Z]+ )?KEY ")
_MARKS: Final = ("'", '"', "`")


@dataclass(frozen=True, slots=True)
class StagedTable:
    """
    A table's definition in the order that loads fastest.

    Attributes:
        create: Without foreign keys and, when asked, without deferrable indexes.
        indexes: `ADD ...` clauses for one ALTER TABLE.
        fulltext: `ADD ...` clauses, one ALTER TABLE each, because InnoDB builds one at a time.
        has_counter: Whether a column is AUTO_INCREMENT.
        has_stored: Whether the values of a generated column are stored.
    """

    create: str
    indexes: tuple[str, ...]
    fulltext: tuple[str, ...]
    has_counter: bool
    has_stored: bool


def tokens(sql: str) -> list[str]:
    """Cut a statement into quoted stretches, brackets, commas and the rest; joined they give it back."""
    return _TOKEN.findall(sql)


def is_quoted(part: str) -> bool:
    """Tell whether a token is a name or text in quotes."""
    return part.startswith(_MARKS)


def unquoted_parts(sql: str) -> list[str]:
    """Cut a statement in the same way, without its names and texts in quotes."""
    return [part for part in tokens(sql) if not is_quoted(part)]


def _dropped(pattern: re.Pattern[str], sql: str) -> str:
    """Drop what a pattern finds outside of quotes."""
    return "".join(part if is_quoted(part) else pattern.sub("", part) for part in tokens(sql))


def unqualify(sql: str, database: str) -> str:
    """Remove one database's name where it qualifies another name, outside of texts."""
    own = quote(database)
    if f"{own}." not in sql:  # tokenizing ten thousand definitions takes seconds
        return sql
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
    """Digest what SHOW CREATE prints, equal under another database name, counter and directory."""
    plain = without_counter(unqualify(without_directories(_without_plain(sql)), database))
    # MariaDB prints characters beyond U+FFFF as question marks in some places.
    narrow = _ASTRAL.sub("?", plain)
    return hashlib.sha256(narrow.encode("utf-8", "surrogateescape")).hexdigest()


def counter_of(sql: str) -> int:
    """Return the AUTO_INCREMENT of a CREATE TABLE, 0 when it prints none."""
    if not _AUTO_INCREMENT.search(sql):
        return 0
    found = [match[0] for part in unquoted_parts(sql) if (match := _AUTO_INCREMENT.search(part))]
    return int(found[-1].partition("=")[2]) if found else 0


def without_counter(sql: str) -> str:
    """Drop the AUTO_INCREMENT of a CREATE TABLE, not of its column."""
    if not _AUTO_INCREMENT.search(sql):
        return sql
    return _dropped(_AUTO_INCREMENT, sql)


def with_counter(sql: str, counter: int) -> str:
    """Add an AUTO_INCREMENT to a CREATE TABLE that prints none."""
    begin, items, tail = split_items(sql)
    return f"{begin}{', '.join(items)}{tail.replace(')', f') AUTO_INCREMENT={counter}', 1)}"


def table_fingerprint(sql: str, database: str) -> str:
    """Digest a CREATE TABLE in the same way, and without what the server only remarks."""
    return fingerprint(without_remarks(sql), database)


def without_remarks(sql: str) -> str:
    """
    Drop the comments that SHOW CREATE TABLE prints by itself.

    They tell of temporal columns in the format of an old version, and of options that no engine knows.

    Returns:
        The statement without them; no server would make them again from it.
    """
    if _REMARK not in sql:
        return sql
    kept: list[str] = []
    inside = False
    for part in tokens(sql):
        rest = part
        while rest and not is_quoted(rest):
            if inside:
                _, end, rest = rest.partition("*/")
                inside = not end
            else:
                before, begin, rest = rest.partition(_REMARK)
                kept.append(before)
                inside = bool(begin)
        if not inside:
            kept.append(rest)
    return "".join(kept)


def _without_plain(sql: str) -> str:
    """Drop ENCRYPTION='N', which MySQL prints only in a database that encrypts its tables unless told."""
    if "ENCRYPTION='N'" not in sql or not sql.startswith("CREATE TABLE "):
        return sql
    parts = tokens(sql)
    for index in range(1, len(parts)):
        found = _ENCRYPTION.search(parts[index - 1])
        if found and parts[index] == "'N'":
            parts[index - 1] = parts[index - 1][: found.start()]
            rest = "".join(parts[index + 1 :])
            return "".join(parts[:index]) + (rest.removeprefix(" */") if found[1] else rest)
    return sql


def without_directories(sql: str) -> str:
    """Drop DATA DIRECTORY and INDEX DIRECTORY: they write outside of the server's own directory."""
    if " DIRECTORY" not in sql:
        return sql
    kept: list[str] = []
    for part in tokens(sql):
        if part.startswith("'") and kept and _DIRECTORY.search(kept[-1]):
            kept[-1] = _DIRECTORY.sub("", kept[-1])
        else:
            kept.append(part)
    return "".join(kept)


def is_text(sql: str) -> bool:
    """Tell whether a statement holds no bytes that are no UTF-8."""
    return sql.isascii() or not _ESCAPED_BYTE.search(sql)


def without_charsets(sql: str) -> str:
    """
    Drop a column's character set where the collation behind it names it too, and have a collation name it elsewhere.

    MySQL prints both for a column that was made with an explicit collation, none for one that got the table's, and
    the character set alone, of which it has the default collation, for one that CREATE TABLE ... SELECT has made
    of a function: the same definition comes out otherwise once it was loaded.

    Returns:
        The same definition.
    """
    if " CHARACTER SET " not in sql:
        return sql
    return "".join(
        part if is_quoted(part) else _SAID_ALONE.sub(_named, _SAID_TWICE.sub("", part))
        for part in tokens(sql)
    )


def _named(found: re.Match[str]) -> str:
    return f" COLLATE {found[1]}_{_DEFAULTS.get(found[1], 'general_ci')}"


def utf8_only(sql: str) -> str:
    """
    Write texts that are no UTF-8 as hex.

    The server prints the bytes of `DEFAULT X'FF'` and of `_latin1 X'E9'` raw, between quotes.

    Args:
        sql: With surrogate escapes for such bytes.

    Returns:
        The same definition, encodable as UTF-8.
    """
    if is_text(sql):
        return sql
    return "".join(
        f" X'{_unquoted(part).hex()}'" if part[0] == "'" and _ESCAPED_BYTE.search(part) else part
        for part in tokens(sql)
    )


def _unquoted(part: str) -> bytes:
    text = _ESCAPE.sub(lambda m: _UNESCAPES.get(m[0], m[0][-1]), part[1:-1])
    return text.encode("utf-8", "surrogateescape")


def staged(sql: str, *, defer_indexes: bool, unique_too: bool = False) -> StagedTable:
    """
    Take a CREATE TABLE apart for loading.

    Args:
        sql: From SHOW CREATE TABLE.
        defer_indexes: Whether secondary indexes are built after the data. Unique ones only when
            there is a primary key, and never one that an AUTO_INCREMENT column needs.
        unique_too: Whether unique ones are deferred in any case.

    Returns:
        All parts but the foreign keys; executed in order they make the table of `sql` without them.

    Raises:
        UnsupportedObjectError: It copies another table, or refers to one in a column.
    """
    head, items, tail = split_items(without_directories(sql))
    _require_own(items, tail)
    has_primary = any(item.startswith("PRIMARY KEY") for item in items)
    counter = next((_first_name(item) for item in items if _is_counter(item)), None)
    kept: list[str] = []
    groups: dict[str, list[str]] = {"KEY": [], "FULLTEXT": []}
    has_document_id = any(item.startswith("`FTS_DOC_ID` ") for item in items)
    needed = _needed_at_once(items, counter)
    for index, item in enumerate(items):
        group = _group(item, unique=has_primary or unique_too)
        if group == "FOREIGN":
            continue
        is_needed = group == "KEY" and index <= needed[_is_unique(item)]
        # With a full-text index InnoDB takes rows by their document id only.
        is_late = defer_indexes or (group == "FULLTEXT" and has_document_id)
        if group is not None and is_late and not is_needed:
            groups[group].append(f"ADD {item}")
        else:
            kept.append(item)
    create = f"{head}\n  " + ",\n  ".join(kept) + f"\n{tail}" if items else sql
    return StagedTable(
        create=create,
        indexes=tuple(groups["KEY"]),
        fulltext=tuple(groups["FULLTEXT"]),
        has_counter=counter is not None,
        has_stored=any(item.startswith("`") and _says(item, " STORED") for item in items),
    )


def _needed_at_once(items: Sequence[str], counter: str | None) -> dict[bool, int]:
    """
    Find the last index that must be there before the rows, as must those before it, or their order changes.

    Returns:
        Its place among the items, for unique indexes and for others; -1 when there is none.
    """
    led = [index for index, item in enumerate(items) if counter and _leads_with(item, counter)]
    needed = {True: -1, False: -1}
    if led and not items[led[0]].startswith("PRIMARY KEY"):
        needed[_is_unique(items[led[0]])] = led[0]
    for index, item in enumerate(items):
        if item.startswith("VECTOR KEY "):
            needed[False] = max(needed[False], index)
    return needed


def _require_own(items: Sequence[str], tail: str) -> None:
    """Refuse what no SHOW CREATE TABLE prints, and what would reach for other tables."""
    outside = " ".join(unquoted_parts(tail)).upper()
    found = bool(_OTHER_TABLES.search(outside))
    for item in items:
        if not item.startswith("CONSTRAINT ") and "REFERENCES" in item.upper():
            found |= any("REFERENCES" in part.upper().split() for part in unquoted_parts(item))
    if found:
        raise UnsupportedObjectError(
            "the definition of a table reaches for others",
            hint="It was not made. Make a new backup if this one was not edited.",
        )


def unquoted_name(part: str) -> str:
    """Return what a quoted name says."""
    return part[1:-1].replace("``", "`")


def printed(text: str) -> str:
    """Quote a text as SHOW CREATE does."""
    return f"'{text.translate(_ESCAPES)}'"


def split_items(sql: str) -> tuple[str, list[str], str]:
    """Split a CREATE TABLE: what stands before the bracket, the items inside it, and what follows."""
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
    if item.startswith(("KEY ", "SPATIAL KEY ")) or (unique and _is_unique(item)):
        return "KEY"
    if item.startswith("FULLTEXT KEY "):
        return "FULLTEXT"
    if is_foreign_key(item):
        return "FOREIGN"
    return None


def is_foreign_key(item: str) -> bool:
    """Tell whether an item of a CREATE TABLE is a foreign key."""
    return item.startswith("CONSTRAINT ") and tokens(item)[2].startswith(" FOREIGN KEY")


def _is_unique(item: str) -> bool:
    return item.startswith("UNIQUE KEY ")


def _is_counter(item: str) -> bool:
    return item.startswith("`") and _says(item, " AUTO_INCREMENT")


def _says(item: str, word: str) -> bool:
    """Tell whether a word stands in an item outside of names and texts."""
    return word in item and any(word in part for part in unquoted_parts(item))


def _first_name(item: str) -> str:
    return tokens(item)[0]


def _leads_with(item: str, name: str) -> bool:
    if not _INDEX.match(item):
        return False
    parts = tokens(item)
    return "(" in parts and parts[parts.index("(") + 1] == name
