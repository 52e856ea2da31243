"""Headers: whatever is typed between CREATE and the body, the object is made in the session's database."""

import re

import pytest
from hypothesis import given, strategies as st

from app.domain.backups.manifest import ObjectKind
from app.engine.sql.headers import read_header
from app.engine.sql.quoting import quote
from app.errors import UnsupportedObjectError


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
SPACES = st.sampled_from([
    " ",
    "\n",
    "\t ",
    "/* ON x.y */",
    " -- x.y\n",
    "#TRIGGER a.b\n",
    "/**/",
    "--\n",
    " /*` ' \"*/ ",
])
DEFINERS = st.sampled_from([
    "", "DEFINER=`root`@`localhost` ", "definer = root@localhost ", "DEFINER=`a.b'x`@`h.\"%` ",
    "DEFINER='on.x'@'%' ", "DEFINER=`app owner` ", "DEFINER=CURRENT_USER() ", "DEFINER=u@127.0.0.1 ",
])  # fmt: skip
ACTION = "SET @x = 'shop.t'; -- shop.t"


def spelled(name: str, style: str) -> str:
    """Spell a name; what is no plain word is always quoted."""
    if style == "ansi":
        return '"' + name.replace('"', '""') + '"'
    is_word = re.fullmatch(r"[a-z][a-z0-9_]*", name) and name != "if"  # reserved by both vendors
    return name if style == "word" and is_word else quote(name)


@st.composite
def triggers(draw):
    """A trigger's names, and the statement in some spelling."""
    schema, name, table = draw(NAMES), draw(NAMES), draw(NAMES)
    styles = st.sampled_from(["word", "tick", "ansi"])

    def space() -> str:
        return str(draw(SPACES))

    def chain(last: str) -> str:
        parts = [spelled(schema, draw(styles)), spelled(last, draw(styles))]
        return f"{space()}{parts[0]}{space()}.{space()}{parts[1]}{space()}"

    sql = (
        f"CREATE {draw(DEFINERS)}TRIGGER{chain(name)}BEFORE{space()}insert{space()}ON{chain(table)}"
    )
    return name, table, sql


@given(triggers())
def test_a_trigger_in_any_spelling_gets_bare_names(trigger):
    """Comments, spaces, quotes and dots in names change nothing; the body stays to the byte."""
    name, table, sql = trigger
    made = read_header(f"{sql}FOR EACH ROW {ACTION}", "ANSI_QUOTES")

    assert (made.kind, made.name, made.table) == (ObjectKind.TRIGGER, name, table)
    head, _, body = made.sql.rpartition("FOR EACH ROW ")
    assert f"TRIGGER {quote(name)} BEFORE INSERT ON {quote(table)}" in head
    assert body == ACTION


@given(triggers())
def test_what_is_bare_stays_as_it_is(trigger):
    """Written again it is the same statement."""
    made = read_header(f"{trigger[2]}FOR EACH ROW {ACTION}", "ANSI_QUOTES")

    assert read_header(made.sql, "ANSI_QUOTES").sql == made.sql


@given(NAMES, NAMES, DEFINERS)
def test_every_kind_loses_its_schema(schema, name, definer):
    """Routines, packages, views and events, with every option before and after the kind."""
    chain = f"{quote(schema)}.{quote(name)}"
    for text, kind in (
        (f"CREATE {definer}PROCEDURE {chain}(IN a INT) SELECT 1", ObjectKind.PROCEDURE),
        (f"CREATE OR REPLACE {definer}AGGREGATE FUNCTION {chain}(a INT)", ObjectKind.FUNCTION),
        (f"CREATE {definer}FUNCTION IF NOT EXISTS {chain}() RETURNS INT", ObjectKind.FUNCTION),
        (f"CREATE {definer}PACKAGE {chain} AS END", ObjectKind.PACKAGE),
        (f"CREATE {definer}PACKAGE BODY {chain} AS END", ObjectKind.PACKAGE_BODY),
        (f"CREATE {definer}EVENT {chain} ON SCHEDULE EVERY 1 DAY", ObjectKind.EVENT),
        (
            f"CREATE ALGORITHM=MERGE {definer}SQL SECURITY INVOKER VIEW {chain} AS SELECT 1",
            ObjectKind.VIEW,
        ),
        (f"CREATE {definer}JSON RELATIONAL DUALITY VIEW {chain} AS SELECT 1", ObjectKind.VIEW),
    ):
        made = read_header(text)
        assert (made.kind, made.name) == (kind, name)
        assert made.sql == text.replace(chain, quote(name), 1)


@pytest.mark.parametrize(
    ("text", "definer"),
    [
        ("DEFINER=`root`@`localhost`", "`root`@`localhost`"),
        ("DEFINER=root@127.0.0.1", "`root`@`127.0.0.1`"),
        ("DEFINER = 'a b'@'%'", "`a b`@`%`"),
        ("DEFINER=`app owner`", "`app owner`"),
        ("DEFINER=`a``b`@``", "`a``b`@``"),
        ("DEFINER=CURRENT_USER()", "CURRENT_USER"),
        ("DEFINER=current_role", "CURRENT_ROLE"),
        ("", ""),
    ],
)
def test_a_definer_is_quoted_with_backticks(text, definer):
    """Whatever quotes it stood in, or none; a role has no host."""
    assert read_header(f"CREATE {text} PROCEDURE p() SELECT 1").definer == definer


def test_double_quotes_hold_names_only_in_their_mode():
    """Elsewhere they hold a text, and the server would refuse it too; definers may be texts."""
    sql = 'CREATE DEFINER="a"@"b" TRIGGER "s"."r" AFTER DELETE ON "s"."t" FOR EACH ROW SET @x = 1'

    assert read_header(sql, "REAL_AS_FLOAT,ANSI_QUOTES").table == "t"
    with pytest.raises(UnsupportedObjectError):
        read_header(sql)


def test_what_every_server_executes_is_no_comment():
    """Names in an executable comment are names, and the comment stays closed."""
    trigger = "/*!50003 TRIGGER `s`.`r` AFTER DELETE ON s.t FOR EACH ROW SET @x = 1 */"
    made = read_header(f"CREATE /*!50017 DEFINER=`a`@`b`*/ {trigger}")

    assert (made.name, made.table, made.definer) == ("r", "t", "`a`@`b`")
    assert made.sql.endswith("/*!50003 TRIGGER `r` AFTER DELETE ON `t` FOR EACH ROW SET @x = 1 */")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "CREATE",
        "DROP DATABASE live",
        "CREATE TABLE t (a INT)",
        "CREATE TRIGGER",
        "CREATE TRIGGER `` BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER .r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER a.b.c BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER r BEFORE INSERT ON a.b.c FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER r BEFORE INSERT ON t",
        "CREATE TRIGGER r BEFORE INSERT ON t; DROP DATABASE live",
        "CREATE TRIGGER 'r' BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER /*!99999 other.*/r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER /*M!100000 other.*/r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER /*!50003 s.r*/ /*!50003 BEFORE*/ INSERT ON /*!50003 s.t FOR EACH ROW */ SET @x = 1",
        "CREATE TRIGGER r */ BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER /* r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER --r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER \xa0r.\0 BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE DEFINER='a\\'@'b' TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE DEFINER= PROCEDURE p() SELECT 1",
        "CREATE FUNCTION f RETURNS STRING SONAME 'evil.so'",
        "CREATE AGGREGATE FUNCTION f RETURNS STRING SONAME 'evil.so'",
        "CREATE USER x",
    ],
)
def test_what_cannot_be_read_is_refused(sql):
    """Nothing is guessed: another statement, a name of three parts, a library's function."""
    with pytest.raises(UnsupportedObjectError):
        read_header(sql)


@given(st.text())
def test_any_text_is_read_or_refused(text):
    """The parser ends, and raises nothing else."""
    for sql in (text, f"CREATE TRIGGER {text}", f"CREATE TRIGGER r BEFORE INSERT ON {text}"):
        try:
            read_header(sql)
        except UnsupportedObjectError as refusal:
            assert refusal.hint  # noqa: PT017 - either is right
