"""
What a replay may take for something else than it was, by statements that it executes again; pure text.

A temporary table hides a real one of its name from one connection: where the replay has not the temporary one,
the statement changes the real one. The server marks statements that use one, or the connection's number.

Where an applier leaves databases out, and it always leaves out the system schema, it passes over a whole
statement by some of the tables in it. So does MariaDB with every ALTER SEQUENCE, since it looks for tables that
are updated (`Rpl_filter::tables_ok`) and finds none.

Sources: https://dev.mysql.com/doc/refman/8.4/en/replication-features-temptables.html,
https://dev.mysql.com/doc/refman/8.4/en/replication-options-replica.html#option_mysqld_replicate-wild-ignore-table
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from app.binlog.events.statements import COMMENT, LEAD, changes_rows
from app.domain.restores.log_archive import Table


SYSTEM: Final = "mysql"
_FLAGS: Final = re.IGNORECASE | re.DOTALL
# One after the other, as none begins inside another one.
_LEXED: Final = re.compile(
    rf"(?P<gap>{COMMENT}|/\*M?!\d*|\*/)|(?P<value>'(?:[^'\\]|\\.|'')*(?:'|$))"
    r"|`(?:[^`]|``)*(?:`|$)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|$)",
    re.DOTALL,
)
_NAME: Final = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|[\w$]+)"
_TABLE: Final = rf"(?:({_NAME})\s*\.\s*)?({_NAME})"
_NAMES: Final = re.compile(_NAME)
_TABLES: Final = re.compile(_TABLE)
# Whose table a statement changes, where it is one; SELECT and its like change none by themselves.
_TARGET: Final = re.compile(
    rf"\s*(?:(?:INSERT|REPLACE)\b\s*(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\b\s*)*(?:INTO\b\s*)?{_TABLE}"
    rf"|UPDATE\b\s*(?:(?:LOW_PRIORITY|IGNORE)\b\s*)*{_TABLE}\s*(?:(?:AS\s+)?{_NAME}\s+)?SET\b"
    rf"|DELETE\b\s*(?:(?:LOW_PRIORITY|QUICK|IGNORE)\b\s*)*FROM\b\s*{_TABLE}\s*(?:$|(?:WHERE|ORDER|LIMIT|RETURNING)\b)"
    rf"|LOAD\b.*?\bINTO\s+TABLE\s+{_TABLE}"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE})",
    _FLAGS,
)
# It stands in front; of what begins later nothing is known.
_NEAR: Final = 4 << 10
_CALLS: Final = re.compile(r"[\s(]*(?:SELECT|DO|CALL|VALUES)\b", re.IGNORECASE)
# Behind them a list of tables, and between these words of the statement.
_LISTS: Final = re.compile(
    r"\s*(?:RENAME\s+TABLES?|DROP\s+(?:TEMPORARY\s+)?(?:TABLES?|VIEW|SEQUENCE))\b(.*)", _FLAGS
)
_WORDS: Final = frozenset(
    {"IF", "EXISTS", "TO", "WAIT", "NOWAIT", "RESTRICT", "CASCADE"}
)  # fmt: skip
_ALTERED: Final = re.compile(
    rf"\s*ALTER\s+(?:ONLINE\s+)?(?:IGNORE\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?{_TABLE}(.*)", _FLAGS
)
_OTHERS: Final = re.compile(
    rf"\b(?:RENAME\s+(?!COLUMN\b|INDEX\b|KEY\b)(?:TO\s+|AS\s+|=\s*)?|(?:WITH|CONVERT|TO)\s+TABLE\s+){_TABLE}",
    _FLAGS,
)
_DEFINES: Final = re.compile(rf"{LEAD}(?:ALTER|DROP|RENAME)\b", _FLAGS)
_SEQUENCE: Final = re.compile(r"\s*ALTER\s+SEQUENCE\b", _FLAGS)
_CHANGES: Final = re.compile(
    r"[\s(]*(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|CALL|WITH|SELECT|DO|CREATE\s+(?:OR\s+REPLACE\s+)?TABLE)\b", _FLAGS
)  # fmt: skip
_IN_SYSTEM: Final = re.compile(rf"(?<![\w$.])[`\"]?{SYSTEM}[`\"]?\s*\.", _FLAGS)
# Of a table that is in the database of the session.
_UNQUALIFIED: Final = re.compile(
    rf"(\b(?:FROM|JOIN|INTO|(?<!KEY\s)UPDATE)\s+)(?={_NAME}(?![\w$]|\s*\.))", _FLAGS
)
# Changes one table of the system schema and nothing else.
_ALONE: Final = re.compile(
    rf"\s*(?:(?:INSERT|REPLACE)(?:\s+(?!INTO)\w+)*?\s+(?:INTO\s+)?{{0}}{_NAME}"
    rf"|DELETE(?:\s+\w+)*?\s+FROM\s+{{0}}{_NAME}\s*(?:$|WHERE\b|ORDER\b|LIMIT\b)"
    rf"|UPDATE(?:\s+\w+)*?\s+{{0}}{_NAME}\s+SET\b"
    rf"|CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{{0}}{_NAME})".replace(
        "{0}", rf"[`\"]?{SYSTEM}[`\"]?\s*\.\s*"
    ),
    _FLAGS,
)
# Names no table that could be a temporary one, or changes no row: what is dropped was marked as such by the server,
# what stands around statements, a real table that is made of nothing else, and upkeep.
_PLAIN: Final = re.compile(
    r"\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA|DROP(?!\s+INDEX)|(?:OPTIMIZE|REPAIR|ANALYZE)\s+TABLES?\b"
    r"|CREATE\s++(?:OR\s+REPLACE\s++)?+(?!(?:TEMPORARY\s+)?TABLE|(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?INDEX)"
    r"|CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\b(?!.*\b(?:SELECT|LIKE|TABLE|VALUES)\b))",
    _FLAGS,
)
_MAKES_TEMPORARY: Final = re.compile(
    rf"\s*CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}",
    _FLAGS,
)
_MAY_MAKE_DATABASE: Final = re.compile(
    rf"{LEAD}CREATE\s[^`'\"]{{0,400}}?(?:DATABASE|SCHEMA)\b", _FLAGS
)
_MAKES_DATABASE: Final = re.compile(
    rf"\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME})",
    _FLAGS,
)
# With rows in place of statements, or either as it is safe, no log has them: what gives something else each time, or
# goes by who is connected and to what. RAND() is not among them, nor NOW(): the log has their seed and time, as it
# has some variables of the session.
_DIFFERS: Final = re.compile(
    r"(?<![\w$.`@])(?:(?:UUID(?:_SHORT|_?V[47])?|SYS_GUID|(?:SESSION_|SYSTEM_)?USER|FOUND_ROWS|ROW_COUNT|VERSION)"
    r"\s*\(\s*\)|CURRENT_(?:USER|ROLE)\b|SYSDATE\s*\(\s*\d*\s*\)"
    r"|(?:RANDOM_BYTES|LOAD_FILE|(?:GET|IS_FREE|IS_USED|RELEASE)_LOCK|\w+_POS_WAIT)\s*\("
    r"|[`\"]?(?:INFORMATION|PERFORMANCE)_SCHEMA[`\"]?\s*\."
    r"|@@(?!(?:(?:SESSION|LOCAL)\s*\.\s*)?(?:(?:AUTO_INCREMENT_|CHARACTER_SET_C|COLLATION_C)\w+|FOREIGN_KEY_CHECKS"
    r"|UNIQUE_CHECKS|IDENTITY|(?:LAST_)?INSERT_ID|LC_TIME_NAMES|PSEUDO_THREAD_ID|SQL_MODE|SQL_AUTO_IS_NULL|TIME_ZONE"
    r"|TIMESTAMP)\b)[`\w])",
    re.IGNORECASE,
)
# What a new column gets in the rows that are there: no log has the seed or the variables of a definition, and a
# sequence has given numbers that it does not tell yet.
_FILLS: Final = re.compile(
    r"(?<![\w$.`@])(?:(?:RAND|CONNECTION_ID|(?:NEXT|LAST|SET)VAL)\s*\(|(?:NEXT|PREVIOUS)\s+VALUE\s+FOR\b|@[\w$.`'\"])",
    re.IGNORECASE,
)
# Their tables are made of the server itself whenever they are read.
_COMPUTED: Final = frozenset({"information_schema", "performance_schema", "sys"})
_ADDS: Final = re.compile(r"(?<![\w$.`@])ADD\b", re.IGNORECASE)
# Not the option of the table, nor what becomes of a column that has its numbers.
_NUMBERS: Final = re.compile(
    r"(?<![\w$.`@])ADD\b(?:(?:(?!,\s*(?:MODIFY|CHANGE)\b).)*?(?<![\w$.`@])AUTO_INCREMENT\b(?!\s*=?\s*\d)"
    rf"|\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?\(?\s*{_NAME}\s+SERIAL\b)",
    _FLAGS,
)
# A variable is set anew for each row, and no order is named.
_COUNTS: Final = re.compile(r"(?!.*\bORDER\s+BY\b).*?@[\w$.`'\"]+\s*:=", _FLAGS)
_READS: Final = re.compile(
    rf"\b(?:FROM|JOIN|(?<!KEY\s)UPDATE)\s+(?:(?:LOW_PRIORITY|IGNORE)\s+)*{_TABLE}", _FLAGS
)
# Of what is made or altered, as the log has it; a role has no host.
_ACCOUNT: Final = rf"({_NAME}|'(?:[^']|'')*')"
_DEFINER: Final = re.compile(rf"\bDEFINER\s*=\s*{_ACCOUNT}(?:\s*@\s*{_ACCOUNT})?", _FLAGS)
_OWNED: Final = re.compile(rf"{LEAD}(?:CREATE|ALTER)\b", _FLAGS)
_INVOKERS: Final = frozenset({"CURRENT_USER", "CURRENT_ROLE"})
# Names stand before values, or near them.
_READ: Final = 64 << 10
_DIRECTORY: Final = re.compile(r"\s*(?:CREATE|ALTER)\b.*\b(?:DATA|INDEX)\s+DIRECTORY\b", _FLAGS)
_CODE: Final = re.compile(
    r"\s*(?:CREATE|ALTER)\b.{0,400}?\b(?:TRIGGER|FUNCTION|PROCEDURE|PACKAGE|VIEW)\b", _FLAGS
)


def may_use_temporary(text: str) -> bool:
    """Tell whether a statement that the server has marked may read or change a temporary table by its name."""
    return not _PLAIN.match(_bare(text))


def names_directory(text: str) -> bool:
    """Tell whether a statement makes a table, or a part of one, in a directory that it names."""
    return "DIRECTORY" in text[:_READ].upper() and bool(_DIRECTORY.match(_bare(text[:_READ])))


def made_temporary(text: str) -> str:
    """Return the name of the temporary table that a statement makes, in lower case; empty = none."""
    found = _MAKES_TEMPORARY.match(_bare(text[:_READ]))
    return _plain(found[2]) if found else ""


def differs(text: str, database: str = "") -> bool:
    """Tell whether a statement, executed in a database, computes something else when it is executed again."""
    if database.lower() in _COMPUTED and _UNQUALIFIED.search(_bare(text)):
        return True
    return bool(_DIFFERS.search(text)) and bool(_DIFFERS.search(_bare(text)))


def fills_otherwise(text: str) -> bool:
    """Tell whether a definition gives rows that are there values which are others when it is executed again."""
    altered = _ALTERED.match(_bare(text)) if _DEFINES.match(text) else None
    rest = altered[3] if altered else ""
    return bool(_ADDS.search(rest) and (_DIFFERS.search(rest) or _FILLS.search(rest)))


def numbered(database: str, text: str) -> frozenset[Table]:
    """
    Name the tables whose rows a statement numbers in the order in which the server finds them.

    Args:
        database: In which it was executed.
        text: All of it.

    Returns:
        None where it numbers none, or says in which order.
    """
    found: Iterable[re.Match[str]] = ()
    if _DEFINES.match(text):
        altered = _ALTERED.match(_bare(text))
        found = (altered,) if altered and _NUMBERS.search(altered[3]) else ()
    elif ":=" in text and changes_rows(text):
        bare = _bare(text)
        found = _READS.finditer(bare) if _COUNTS.match(bare) else ()
    return frozenset(Table(_unquoted(name[1]) or database, _unquoted(name[2])) for name in found)


def definers_in(text: str) -> frozenset[str]:
    """Return the accounts that a statement makes something of, quoted as SHOW CREATE does; also such as a body names."""
    # As cheap as can be: most statements are of another kind.
    if not _OWNED.match(text) or "DEFINER" not in text[:_READ].upper():
        return frozenset()
    found = (filter(None, match.groups()) for match in _DEFINER.finditer(text[:_READ]))
    accounts = (tuple(parts) for parts in found)
    return frozenset(
        "@".join(map(_quoted, account)) for account in accounts if account[0] not in _INVOKERS
    )


def made_database(text: str) -> str:
    """Return the name of the database that a statement makes, in lower case; empty = none."""
    # As cheap as can be: all others are not taken apart.
    found = _MAKES_DATABASE.match(_bare(text[:_READ])) if _MAY_MAKE_DATABASE.match(text) else None
    return _plain(found[1]) if found else ""


def names_in(text: str) -> frozenset[str]:
    """Return what may be a name in a statement, in lower case; its own words are among them."""
    return frozenset(_plain(name[0]) for name in _NAMES.finditer(_bare(text[:_READ])))


def changed_in(database: str, text: str) -> frozenset[str]:
    """
    Name the databases of tables that a statement changes where it is executed again.

    Args:
        database: In which it was executed.
        text: All of it.

    Returns:
        Their names, in lower case, an empty one for what is not known; none where it changes none by itself.
    """
    if not changes_rows(text):
        return frozenset()
    bare = _bare(text[:_NEAR])
    if _CALLS.match(bare):
        return frozenset()
    found = _TARGET.match(bare)
    names = [name for name in found.groups() if name] if found else []
    # One alone is that of a table; a database stands before it.
    own = _plain(names[0]) if len(names) > 1 else database.lower()
    return frozenset({own if found else ""})


def makes_code(text: str) -> bool:
    """Tell whether a statement may define by what tables are changed under another name, of whatever database."""
    # As cheap as can be: all others are not taken apart.
    return bool(_OWNED.match(text) and _CODE.match(_bare(text[:_READ])))


def spanned(database: str, text: str) -> frozenset[str]:
    """
    Name the databases of which none may be left out where a statement is replayed.

    Args:
        database: In which it was executed.
        text: All of it.

    Returns:
        Their names, in lower case; none where it may be replayed or passed over as a whole. The system schema and
        an empty name where it is about that and something else, or an ALTER SEQUENCE.
    """
    # Statements with rows in them may be megabytes, and are not taken apart for nothing.
    is_in_system = database.lower() == SYSTEM
    if not (_DEFINES.match(text) or is_in_system or SYSTEM in text.lower()):
        return frozenset()
    bare = _bare(text)
    if is_in_system:
        bare = _UNQUALIFIED.sub(rf"\g<1>{SYSTEM}.", bare)
    if _SEQUENCE.match(bare):
        found = {SYSTEM, ""}
    elif listed := _LISTS.match(bare):
        found = {*_databases(_TABLES.finditer(listed[1]), database)}
    elif altered := _ALTERED.match(bare):
        own = _plain(altered[1]) or database.lower()
        found = {own, *_databases(_OTHERS.finditer(altered[3]), database)}
    elif _CHANGES.match(bare) and _IN_SYSTEM.search(bare) and not _ALONE.match(bare):
        found = {SYSTEM, ""}
    else:
        found = set()
    return frozenset(found) if len(found) > 1 else frozenset()


def _bare(text: str) -> str:
    """Leave out comments and what is quoted as a value; what stands in executable comments stays."""
    return _LEXED.sub(_bare_token, text)


def _bare_token(found: re.Match[str]) -> str:
    if found["gap"] is not None:
        return " "
    return found.group() if found["value"] is None else "''"


def _databases(names: Iterator[re.Match[str]], database: str) -> Iterator[str]:
    for name in names:
        if name[1] or name[2].upper() not in _WORDS:
            yield _plain(name[1]) or database.lower()


def _quoted(name: str) -> str:
    """Put a name into backticks, whatever it was quoted with."""
    mark = name[:1]
    bare = name[1:-1].replace(mark * 2, mark) if mark in {"`", '"', "'"} else name
    return f"`{bare.replace('`', '``')}`"


def _plain(name: str | None) -> str:
    """Take a name out of its quotes, in lower case."""
    return _unquoted(name).lower()


def _unquoted(name: str | None) -> str:
    mark = (name or "")[:1]
    return (name or "")[1:-1].replace(mark * 2, mark) if mark in {"`", '"'} else name or ""
