"""Object load: which statements of a backup are about the objects that were chosen."""

from app.domain.backups.manifest import ObjectEntry, ObjectKind, StatementKind
from app.domain.restores.journal import SavedStatement
from app.engine.load.archived import _statements_about


def entry(kind: ObjectKind, name: str, digest: str = "") -> ObjectEntry:
    """Describe an object."""
    return ObjectEntry(kind, name, "t" if kind is ObjectKind.TRIGGER else "", True, "", digest)


def said(kind: StatementKind, name: str = "", sql: str = "") -> SavedStatement:
    """Make a statement."""
    return SavedStatement(kind, sql or f"{kind} {name}", name)


SESSION = said(StatementKind.SESSION)
PLACEHOLDER = said(StatementKind.PLACEHOLDER, "x", "CREATE OR REPLACE VIEW `x` AS SELECT 1 AS `a`")
STUB = said(StatementKind.PLACEHOLDER, "x", "CREATE FUNCTION `x`() RETURNS int RETURN NULL")
VIEW = said(StatementKind.VIEW, "x")
INVALID = said(StatementKind.INVALID_VIEW, "x")
TRIGGER = said(StatementKind.TRIGGER, "x")
DROP = said(StatementKind.DROP, sql="DROP FUNCTION IF EXISTS `x`")
ROUTINE = said(StatementKind.ROUTINE, "x")
EVENT = said(StatementKind.EVENT, "x")
ENABLE = said(StatementKind.ENABLE_EVENT, "x")
EVERYTHING = [
    PLACEHOLDER, SESSION, DROP, STUB, SESSION, INVALID, VIEW, DROP, ROUTINE, SESSION, TRIGGER,
    SESSION, DROP, EVENT, ENABLE,
]  # fmt: skip


def about(*keys: tuple[ObjectKind, str]) -> list[SavedStatement]:
    """Choose statements, without those that set the session."""
    return [
        statement for statement in _statements_about(keys, EVERYTHING) if statement is not SESSION
    ]


def test_a_name_says_nothing_without_its_kind():
    """A trigger, a view, a routine and an event may share a name; only the chosen one is made."""
    assert about((ObjectKind.TRIGGER, "x")) == [TRIGGER]
    assert about((ObjectKind.VIEW, "x")) == [PLACEHOLDER, INVALID, VIEW]
    assert about((ObjectKind.FUNCTION, "x")) == [DROP, STUB, DROP, ROUTINE]
    assert about((ObjectKind.EVENT, "x")) == [DROP, EVENT, ENABLE]


def test_objects_of_other_names_are_left_out_with_their_drop():
    """A DROP is about what comes next; dropping what is not made again would be a loss."""
    keys = [(kind, "y") for kind in ObjectKind]

    assert about(*keys) == []


def test_all_of_a_backup_is_all_of_it():
    """In order, and the session's settings at their places."""
    keys = [(kind, "x") for kind in ObjectKind]

    assert list(_statements_about(keys, EVERYTHING)) == EVERYTHING


def test_settings_of_the_session_always_come_along():
    """They stand before the statement that needs them."""
    assert list(_statements_about([(ObjectKind.TRIGGER, "x")], EVERYTHING)) == [SESSION] * 3 + [
        TRIGGER,
        SESSION,
    ]
