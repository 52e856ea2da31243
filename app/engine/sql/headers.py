"""
The header of a CREATE statement: what it makes, who owns it, and whose schema it names.

MariaDB keeps a trigger's header as it was typed: `CREATE TRIGGER shop.r ... ON shop.t`. Executed elsewhere
such a statement works on `shop`. So headers are read here, word by word as the server reads them, and
written again with bare names: the object is then made in the session's database, whatever that is.

1. Comments are passed over; of the executable ones those that every supported server executes count as
   what is in them.
2. A name is one word or quoted stretch, or two with a dot between; the last is the object's.
3. A header that names no schema stays as it is, to the byte. One that does is written anew from the kind
   up to its last name: what stands before that the server prints by itself, the body is its author's.

Not guaranteed: what is in a body. Making an object executes nothing of it.

Sources: mariadb.com/kb/en/identifier-names, /comment-syntax, /create-trigger;
dev.mysql.com/doc/refman/8.4/en/identifiers.html, /comments.html, /create-trigger.html.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import ObjectKind
from app.engine.sql.ddl import is_quoted, tokens
from app.engine.sql.quoting import quote
from app.errors import UnsupportedObjectError


_LEXEMES: Final = re.compile(
    r"""
    (?P<space>[ \t\n\r\v\f]+)
    |(?P<comment>/\*(?!M?!).*?\*/|--(?=[\x00-\x20]|\Z)[^\n]*|\#[^\n]*)
    |(?P<open>/\*!(?P<version>[0-9]*))
    |(?P<close>\*/)
    |(?P<tick>`(?:[^`]|``)*`)
    |(?P<double>"(?:[^"]|"")*")
    |(?P<single>'(?:[^']|'')*')
    |(?P<word>[0-9A-Za-z$_\u0080-\U0010ffff]+)
    |(?P<mark>[.,@=()])
    """,
    re.DOTALL | re.VERBOSE,
)
_QUOTES: Final = {"tick": "`", "double": '"', "single": "'"}
# The executable comments that any server of any version here executes; what is in a newer one is
# a comment for some.
_ALWAYS_EXECUTED: Final = 50700
_KINDS: Final = {
    "TRIGGER": ObjectKind.TRIGGER,
    "EVENT": ObjectKind.EVENT,
    "PROCEDURE": ObjectKind.PROCEDURE,
    "FUNCTION": ObjectKind.FUNCTION,
    "PACKAGE": ObjectKind.PACKAGE,
    "VIEW": ObjectKind.VIEW,
}
_ROUTINES: Final = frozenset({ObjectKind.PROCEDURE, ObjectKind.FUNCTION})
# Where the head that a server writes ends, and its author's text begins.
_HEAD_ENDS: Final = {
    ObjectKind.TRIGGER: re.compile(r"\bFOR EACH ROW\b"),
    ObjectKind.EVENT: re.compile(
        r" ON COMPLETION (?:NOT )?PRESERVE (?:ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)\b"
    ),
    # Characteristics stand on lines of their own, indented.
    ObjectKind.FUNCTION: re.compile(r"(?=\n(?!    ))"),
    ObjectKind.PROCEDURE: re.compile(r"(?=\n(?!    ))"),
}
_HINT: Final = "Nothing of it is executed. Make the object anew in the usual form, or leave it out."


@dataclass(frozen=True, slots=True)
class Header:
    """
    What a CREATE statement says before its body.

    Attributes:
        kind: What it makes.
        name: Of the object, without its schema.
        definer: Quoted with backticks, `user`@`host` or `role`; empty when there is none.
        table: Of a trigger, without its schema; else empty.
        rest: What follows the last name.
        sql: The statement with bare names.
    """

    kind: ObjectKind
    name: str
    definer: str
    table: str
    rest: str
    sql: str


@dataclass(frozen=True, slots=True)
class _Lexeme:
    """One word, quoted stretch or mark; the kind is empty at the end of the statement."""

    kind: str = ""
    text: str = ""
    begin: int = 0
    end: int = 0
    commented: bool = False  # whether it stands in an executable comment

    @property
    def keyword(self) -> str:
        """Return it in capitals when it is a word, else nothing."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def unquoted(self) -> str:
        """Return what it says, without quotes."""
        mark = _QUOTES.get(self.kind)
        return self.text[1:-1].replace(2 * mark, mark) if mark else self.text


def read_header(sql: str, sql_mode: str = "", *, folded: bool = False) -> Header:
    """
    Read the header of a CREATE of a view, trigger, routine, package or event.

    Args:
        sql: One statement.
        sql_mode: Of the session that executes it: with ANSI_QUOTES double quotes hold names.
        folded: Whether its server keeps names of tables in lower case; it prints that of a trigger's table as
            it was typed.

    Returns:
        What it says, and the statement for any database.

    Raises:
        UnsupportedObjectError: It is in no form that is known here.
    """
    return _Parser(sql, ansi="ANSI_QUOTES" in sql_mode.upper(), folded=folded).create()


def split_head(kind: ObjectKind, sql: str) -> tuple[list[str], str]:
    """
    Split a CREATE, as SHOW CREATE prints it, before its author's text.

    Returns:
        The head in tokens, those in quotes by themselves, and the rest; nothing of a head whose end is
        not known.
    """
    parts = tokens(sql)
    end = _HEAD_ENDS.get(kind)
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


def _joined(first: str, others: Sequence[str]) -> str:
    return "".join((first, *others))


class _Parser:
    """Reads one statement from its begin; used once."""

    def __init__(self, sql: str, *, ansi: bool, folded: bool) -> None:
        self._sql = sql
        self._ansi = ansi
        self._folded = folded
        self._commented = False
        self._written: list[str] = []
        self._changes = 0
        self._taken = self._next = _Lexeme()
        self._advance()

    # -- grammar ----------------------------------------------------------------------------------

    def create(self) -> Header:
        """Read CREATE, the options, the kind and the names."""
        self._keyword("CREATE")
        definer = self._options()
        self._written.clear()
        first = self._next
        kind = self._kind()
        if self._skip("IF"):
            self._keyword("NOT")
            self._keyword("EXISTS")
        name = self._name()
        table = self._table() if kind is ObjectKind.TRIGGER else ""
        sql, rest = self._sql, self._sql[self._taken.end :]
        if self._changes:
            if self._taken.commented != first.commented:
                self._refuse("an executable comment ends in the middle of it")
            sql = f"{sql[: first.begin]}{' '.join(self._written)}{rest}"
        self._check_rest(kind)
        return Header(kind, name, definer, table, rest, sql)

    def _options(self) -> str:
        """Read what may stand before the kind, in any order; return the definer."""
        definer = ""
        while True:
            if self._skip("OR"):
                self._keyword("REPLACE")
            elif self._skip("ALGORITHM"):
                self._mark("=")
                self._keyword("UNDEFINED", "MERGE", "TEMPTABLE")
            elif self._skip("SQL"):
                self._keyword("SECURITY")
                self._keyword("DEFINER", "INVOKER")
            elif self._skip("JSON"):  # a view of MySQL that shows rows as documents
                self._keyword("RELATIONAL")
                self._keyword("DUALITY")
            elif self._skip("DEFINER"):
                self._mark("=")
                definer = self._account()
            elif not self._skip("AGGREGATE"):
                return definer

    def _kind(self) -> ObjectKind:
        kind = _KINDS[self._keyword(*_KINDS)]
        if kind is ObjectKind.PACKAGE and self._skip("BODY"):
            return ObjectKind.PACKAGE_BODY
        return kind

    def _table(self) -> str:
        """Read a trigger's moments, up to the name of its table."""
        self._keyword("BEFORE", "AFTER")
        self._keyword("INSERT", "UPDATE", "DELETE")
        while not self._skip("ON"):  # OF columns, OR other moments
            if self._next.kind not in {"word", "tick", "double"} and self._next.text != ",":
                self._refuse(f"{self._next.text[:20]!r} stands before its table")
            self._written.append(self._take().text)
        name = self._name()
        if self._folded and name != name.lower():
            name = name.lower()
            self._written[-1] = quote(name)
            self._changes += 1
        return name

    def _check_rest(self, kind: ObjectKind) -> None:
        """Require what comes next where something else would be another statement."""
        if kind is ObjectKind.TRIGGER:
            self._keyword("FOR")
            self._keyword("EACH")
            self._keyword("ROW")
        elif (
            kind in _ROUTINES
        ):  # a function of a library, which belongs to the server, has no brackets
            self._mark("(")

    def _name(self) -> str:
        """Read a name that may have a schema before it, and write it without."""
        name = self._identifier()
        if self._next.text == "." and self._next.kind == "mark":
            self._take()
            self._changes += 1
            name = self._identifier()
        if self._next.text == "." and self._next.kind == "mark":
            self._refuse("a name has three parts")
        self._written.append(quote(name))
        return name

    def _identifier(self) -> str:
        kinds = {"word", "tick", "double"} if self._ansi else {"word", "tick"}
        if self._next.kind not in kinds or not self._next.unquoted:
            self._refuse(f"{self._next.text[:20]!r} is no name")
        return self._take().unquoted

    def _account(self) -> str:
        """Read a definer; return it quoted, and what stands for the current user as it is."""
        if self._next.keyword in {"CURRENT_USER", "CURRENT_ROLE"}:
            word = self._take().keyword
            if self._next.text == "(":
                self._mark("(")
                self._mark(")")
            return word
        user = quote(self._account_part())
        if self._next.text != "@":
            return user
        self._mark("@")
        host = self._account_part()
        while self._next.text == "." and self._next.kind == "mark":
            self._take()
            host += f".{self._account_part()}"
        return f"{user}@{quote(host)}"

    def _account_part(self) -> str:
        part = self._next
        if part.kind not in {"word", *_QUOTES}:
            self._refuse(f"{part.text[:20]!r} is no account")
        is_text = part.kind == "single" or (part.kind == "double" and not self._ansi)
        if is_text and "\\" in part.text:
            self._refuse("its definer is a text with a backslash")
        return self._take().unquoted

    # -- words ------------------------------------------------------------------------------------

    def _keyword(self, *wanted: str) -> str:
        if self._next.keyword not in wanted:
            self._refuse(f"{self._next.text[:20]!r} stands where {' or '.join(wanted)} belongs")
        word = self._take().keyword
        self._written.append(word)
        return word

    def _skip(self, word: str) -> bool:
        """Read a word if it comes next."""
        if self._next.keyword != word:
            return False
        self._keyword(word)
        return True

    def _mark(self, mark: str) -> None:
        if self._next.kind != "mark" or self._next.text != mark:
            self._refuse(f"{self._next.text[:20]!r} stands where {mark!r} belongs")
        self._take()

    def _take(self) -> _Lexeme:
        if not self._next.kind:
            self._refuse("it ends too early")
        self._taken = self._next
        self._advance()
        return self._taken

    def _advance(self) -> None:
        """Find the next lexeme, past spaces and comments."""
        place = self._taken.end
        while found := _LEXEMES.match(self._sql, place):
            kind, begin, place = found.lastgroup or "", found.start(), found.end()
            if kind == "open":
                self._open(found["version"])
            elif kind == "close":
                self._close()
            elif kind not in {"space", "comment"}:
                self._next = _Lexeme(kind, found[0], begin, place, self._commented)
                return
        rest = self._sql[place : place + 1]
        self._next = _Lexeme("other" if rest else "", rest, place, place)

    def _open(self, version: str) -> None:
        known = not version or (len(version) == 5 and int(version) <= _ALWAYS_EXECUTED)  # noqa: PLR2004 - digits of a version
        if self._commented or not known:
            self._refuse("not every server executes a comment in it")
        self._commented = True

    def _close(self) -> None:
        if not self._commented:
            self._refuse("a comment ends that did not begin")
        self._commented = False

    def _refuse(self, problem: str) -> None:
        raise UnsupportedObjectError(
            f"the header of a CREATE cannot be read: {problem}", hint=_HINT
        )
