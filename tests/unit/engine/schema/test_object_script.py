"""Object SQL: views, routines, triggers and events in an order that loads in one pass."""

import pytest

from app.domain.backups.manifest import ObjectEntry, ObjectKind, StatementKind
from app.engine.schema.databases import Schema
from app.engine.schema.object_script import object_statements, uncommented
from app.engine.schema.objects import Definition, digest


SCHEMA = Schema("db", "utf8mb4", "utf8mb4_general_ci")
DEFINER = "DEFINER=`root`@`%`"


def make(kind, name, sql, *, valid=True, charset="utf8mb4", definer="", **facts):
    """Make a definition as SHOW CREATE would give it."""
    entry = ObjectEntry(kind, name, "t" if kind is ObjectKind.TRIGGER else "", valid, definer, "")
    return Definition(entry, sql, "", charset, "utf8mb4_general_ci", **facts)


def view(name, query, **facts):
    """Make a view."""
    return make(ObjectKind.VIEW, name, f"CREATE VIEW `{name}` AS {query}", columns=("a",), **facts)


def function(name, body):
    """Make a function."""
    sql = f"CREATE {DEFINER} FUNCTION `{name}`() RETURNS int(11)\n    DETERMINISTIC\nRETURN {body}"
    return make(ObjectKind.FUNCTION, name, sql)


def write(*definitions, plain_names=True, prepared=True):
    """Write definitions of one database."""
    return object_statements(definitions, SCHEMA, plain_names=plain_names, prepared=prepared)


def named(statements, *kinds):
    """Return kind and name of the statements that make something."""
    return [
        (statement.kind.value, statement.name)
        for statement in statements
        if statement.name and (not kinds or statement.kind in kinds)
    ]


def test_views_come_after_those_they_need():
    """Placeholders first; then each view after what it names, whatever the order of names."""
    found = write(
        view("a", "select 1 from `b`"), view("b", "select 1 from `c`"), view("c", "select 1")
    )

    assert named(found) == [
        ("placeholder", "a"), ("placeholder", "b"), ("placeholder", "c"),
        ("view", "c"), ("view", "b"), ("view", "a"),
    ]  # fmt: skip


def test_views_that_need_each_other_are_written_once_each():
    """Views that name each other are written once each."""
    found = write(view("a", "select 1 from `b`"), view("b", "select 1 from `a`"))

    assert sorted(named(found, StatementKind.VIEW)) == [("view", "a"), ("view", "b")]


def test_functions_on_views_get_a_stub_first():
    """A function that uses a view stands in by its signature until the views are there."""
    found = write(
        view("v", "select `f`()"), function("f", "(select 1 from `v`)"), function("g", "1")
    )

    assert named(found) == [
        ("placeholder", "v"), ("placeholder", "f"), ("routine", "g"),
        ("view", "v"), ("placeholder", "f"), ("routine", "f"),
    ]  # fmt: skip
    stub = next(
        statement
        for statement in found
        if statement.kind is StatementKind.PLACEHOLDER and statement.name == "f"
    )
    assert b"RETURN NULL" in stub.sql
    assert b"`v`" not in stub.sql


def test_events_are_enabled_last():
    """Each event is created disabled, and those that were enabled are so at the very end."""
    event = make(
        ObjectKind.EVENT, "e", f"CREATE {DEFINER} EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE ENABLE DO SELECT 1",
        definer="`root`@`%`", time_zone="SYSTEM",
    )  # fmt: skip
    found = write(
        event,
        make(
            ObjectKind.TRIGGER,
            "r",
            f"CREATE {DEFINER} TRIGGER `r` BEFORE INSERT ON `t` FOR EACH ROW SET @x = 1",
        ),
    )

    assert named(found) == [("trigger", "r"), ("event", "e"), ("enable-event", "e")]
    assert b"PRESERVE DISABLE" in b"".join(
        statement.sql for statement in found if statement.kind is StatementKind.EVENT
    )
    assert found[-2].sql == b"ALTER DEFINER=`root`@`%` EVENT `e` ENABLE;\n"


def test_views_lose_their_own_database_only_when_asked():
    """A file of one database loads into any; one of several names each."""
    defined = view("v", "select 1 from `db`.`t`")

    plain = [s.sql for s in write(defined) if s.kind is StatementKind.VIEW]
    full = [s.sql for s in write(defined, plain_names=False) if s.kind is StatementKind.VIEW]
    assert b"`db`" not in plain[0]
    assert b"`db`.`t`" in full[0]


def test_an_invalid_view_is_a_comment_that_can_be_undone():
    """The client passes over it; taken out of the comment it is the definition, line by line."""
    (statement,) = [s for s in write(view("v", "select 1\nfrom gone\r\n", valid=False)) if s.name]

    assert statement.kind is StatementKind.INVALID_VIEW
    assert all(line.startswith(b"-- ") for line in statement.sql.splitlines())
    assert uncommented(statement.sql) == b"CREATE OR REPLACE VIEW `v` AS select 1\nfrom gone\n\n;"


@pytest.mark.parametrize(
    ("body", "charset", "prepared"),
    [
        ("1", "utf8mb4", False),
        ("'é'", "utf8mb4", False),
        ("'é'", "koi8r", True),
        ("1 /* x */", "utf8mb4", True),
        ("1 -- x\n", "utf8mb4", True),
        ("'\r\n'", "utf8mb4", True),
        ("'😀'", "utf8mb3", True),
    ],
)
def test_what_the_client_would_change_is_prepared(body, charset, prepared):
    """Comments, line ends and other character sets reach the server inside a variable."""
    sql = f"CREATE {DEFINER} FUNCTION `f`() RETURNS int(11)\nRETURN {body}"
    found = write(make(ObjectKind.FUNCTION, "f", sql, charset=charset))

    (made,) = [statement for statement in found if statement.kind is StatementKind.ROUTINE]
    assert (made.sql == b"EXECUTE IMMEDIATE @backstay_sql;\n") is prepared


def test_a_delimiter_is_one_that_the_body_does_not_hold():
    """Nothing in a body ends it early."""
    body = "'x;;' || '$backstay0$'"
    text = b"".join(
        statement.sql for statement in write(function("f", body), prepared=False)
    ).decode()

    assert "DELIMITER $backstay1$\n" in text


def test_a_database_collation_of_old_is_given_for_a_moment():
    """A routine made under another collation of its database gets it, and the database its own back."""
    old = make(
        ObjectKind.PROCEDURE,
        "p",
        "CREATE PROCEDURE `p`()\nSELECT 1",
        database_collation="latin1_bin",
    )
    collations = [statement.sql for statement in write(old) if b"ALTER DATABASE" in statement.sql]

    assert collations == [
        b"ALTER DATABASE COLLATE = 'latin1_bin';\n",
        b"ALTER DATABASE COLLATE = 'utf8mb4_general_ci';\n",
    ]


def test_an_enabled_event_remembers_the_collation_its_database_had():
    """Who alters an event gives it the database's collation of now, so enabling needs the old one too."""
    when = "ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE"
    sql = f"CREATE {DEFINER} EVENT `e` {when} ENABLE DO SELECT 1"
    event = make(ObjectKind.EVENT, "e", sql, database_collation="latin1_bin", time_zone="SYSTEM")
    found = list(write(event))
    enabling = next(
        i for i, statement in enumerate(found) if statement.kind is StatementKind.ENABLE_EVENT
    )
    before, after = (
        [statement.sql for statement in part if b"ALTER DATABASE" in statement.sql]
        for part in (found[:enabling], found[enabling:])
    )

    assert before[-1] == b"ALTER DATABASE COLLATE = 'latin1_bin';\n"
    assert after == [b"ALTER DATABASE COLLATE = 'utf8mb4_general_ci';\n"]


def test_digests_see_the_session_but_not_the_name_of_the_database():
    """The same object under another name is the same; in another session it is not."""
    here = make(
        ObjectKind.PROCEDURE, "p", "CREATE PROCEDURE `p`()\nSELECT 1 FROM `a`.`t`", order="1"
    )
    assert digest(here, "a") == digest(here, "b", "a")
    assert digest(here, "a") != digest(here, "b")
    for changes in (
        {"charset": "latin1"},
        {"database_collation": "utf8mb4_bin"},
        {"time_zone": "+01:00"},
        {"order": "2"},
    ):
        other = make(ObjectKind.PROCEDURE, "p", here.sql, **{"order": "1", **changes})
        assert digest(other, "a") != digest(here, "a")
