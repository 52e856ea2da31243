"""Restore plans: what a request means for each database of a backup."""

import re
from dataclasses import replace

import pytest

from app.domain.backups.manifest import Codec, DatabaseEntry, ObjectEntry, ObjectKind, OptionsEntry
from app.domain.restores.journal import RestoreId, RestoreKind
from app.domain.restores.restore import RestoreRequest
from app.engine.schema.databases import SCRATCH
from app.errors import DatabaseNotFoundError, InvalidRequestError, TableNotFoundError
from app.services.restores.plan import plan_drill, plan_loads, plan_restore
from tests.fixtures.archives import backup_id_of, draft_of, table_of


DRAFT = draft_of(backup_id_of(1), Codec.GZIP, {"users": 5, "orders": 3, "order_lines": 0})


def an_object(kind: ObjectKind, name: str, table: str = "") -> ObjectEntry:
    """Describe an object."""
    return ObjectEntry(kind, name, table, valid=True, definer="", definition_sha256="")


SHOP = replace(
    DRAFT.databases[0],
    objects=(
        an_object(ObjectKind.VIEW, "users_view"),
        an_object(ObjectKind.TRIGGER, "on_users", "users"),
        an_object(ObjectKind.TRIGGER, "on_orders", "orders"),
        an_object(ObjectKind.PROCEDURE, "users"),
    ),
)
BLOG = DatabaseEntry(
    "blog", "utf8mb4", "utf8mb4_bin", (table_of("users", 2), table_of("posts", 9)), ()
)
COUNTER = replace(table_of("counter", 0), sequence=True, raw_size=40)
ONE = replace(DRAFT, databases=(SHOP,))
TWO = replace(DRAFT, databases=(BLOG, SHOP))


def plan(manifest=ONE, **asked):
    """Plan a restore without staging."""
    return plan_loads(manifest, RestoreRequest(manifest.backup_id, **asked))


def with_options(**changes):
    """Make the manifest of a backup that was asked for otherwise."""
    options: OptionsEntry = replace(ONE.options, **changes)
    return replace(ONE, options=options)


def test_everything_is_restored_under_its_own_name():
    """A whole restore takes tables and objects as they are in the backup, and nothing else stays."""
    blog, shop = plan(TWO)

    assert (blog.entry, blog.target, blog.place) == (BLOG, "blog", "blog")
    assert (shop.entry, shop.target) == (SHOP, "shop")
    assert blog.whole
    assert shop.whole
    assert shop.include_rows


def test_a_restore_loads_into_schemas_of_its_own():
    """One a target, known as such; without a restore it loads into the target itself."""
    restore_id = RestoreId("restore_0123456789ab")
    loads = plan_loads(TWO, RestoreRequest(TWO.backup_id), restore_id)
    (renamed,) = plan_loads(ONE, RestoreRequest(ONE.backup_id, into="other"), restore_id)

    assert [load.place for load in loads] == [
        "blog__bk_new_0123456789ab",
        "shop__bk_new_0123456789ab",
    ]
    assert renamed.place == "other__bk_new_0123456789ab"
    assert all(SCRATCH.search(load.place) for load in loads)


def test_a_restore_is_planned_from_the_manifest_alone():
    """Its plan names the restore, the databases, and whether what is there is backed up first."""
    asked = RestoreRequest(TWO.backup_id)
    in_place = plan_restore(TWO, asked)
    beside = plan_restore(ONE, RestoreRequest(ONE.backup_id, into="copy"))
    unsaved = plan_restore(ONE, RestoreRequest(ONE.backup_id, create_backup=False, data_only=True))

    assert (in_place.kind, in_place.manifest, in_place.request) == (RestoreKind.RESTORE, TWO, asked)
    assert (in_place.targets, beside.targets) == (("blog", "shop"), ("copy",))
    assert all(load.staging.endswith(in_place.restore_id[-12:]) for load in in_place.loads)
    assert in_place.restore_id != plan_restore(TWO, asked).restore_id
    assert [plan.makes_recovery_point for plan in (in_place, beside, unsaved)] == [
        True,
        False,
        False,
    ]
    assert (in_place.keeps_definitions, unsaved.keeps_definitions) == (False, True)


def test_a_drill_touches_nothing_that_lives():
    """Its targets are its own schemas, whatever was asked for, and it always proves."""
    asked = RestoreRequest(ONE.backup_id, into="copy", data_only=False, verify_after=False)
    drill = plan_drill(ONE, asked)
    rows_only = plan_drill(ONE, RestoreRequest(ONE.backup_id, data_only=True))

    assert drill.kind is RestoreKind.DRILL
    assert all(load.target == load.staging == load.place for load in drill.loads)
    assert all(SCRATCH.search(target) for target in drill.targets)
    assert (drill.request.into, drill.request.verify_after) == ("", True)
    assert not drill.makes_recovery_point
    assert not rows_only.keeps_definitions


def test_chosen_tables_come_with_their_triggers_alone():
    """Views and routines are nobody's, so they stay as they are; so does every other table."""
    (load,) = plan(tables=("users",))

    assert [table.name for table in load.entry.tables] == ["users"]
    assert [definition.name for definition in load.entry.objects] == ["on_users"]
    assert not load.whole


def test_all_tables_by_name_are_not_everything():
    """What was made since the backup stays."""
    (load,) = plan(tables=("*",))

    assert len(load.entry.tables) == 3
    assert not load.whole


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (("order*",), ["shop.order_lines", "shop.orders"]),
        (("users",), ["blog.users", "shop.users"]),
        (("shop.users",), ["shop.users"]),
        (("blog.*", "shop.orders"), ["blog.users", "blog.posts", "shop.orders"]),
        (("*s", "users"), ["blog.users", "blog.posts", "shop.order_lines", "shop.orders", "shop.users"]),
        (("p[aeiou]sts",), ["blog.posts"]),
    ],
)  # fmt: skip
def test_patterns_choose_tables_of_every_database(patterns, names):
    """A database without any of them is left alone."""
    found = [
        f"{load.target}.{table.name}"
        for load in plan(TWO, tables=patterns)
        for table in load.entry.tables
    ]

    assert sorted(found) == sorted(names)
    assert len(found) == len(set(found))


def test_a_name_with_the_signs_of_patterns_names_itself():
    """Whatever else it matches."""
    strange = replace(SHOP, tables=(table_of("a[b]", 1), table_of("ab", 1)))

    (load,) = plan(replace(ONE, databases=(strange,)), tables=("a[b]",))

    assert "a[b]" in [table.name for table in load.entry.tables]


def test_every_pattern_must_match():
    """A typing error restores nothing, not less."""
    with pytest.raises(TableNotFoundError, match="'nosuch'"):
        plan(TWO, tables=("users", "nosuch"))
    with pytest.raises(TableNotFoundError, match=r"'shop\.users'"):
        plan(TWO, tables=("shop.users",), databases=("blog",))
    with pytest.raises(TableNotFoundError):
        plan(tables=("USERS",))


def test_databases_are_chosen_by_exact_name():
    """No globs, no other case."""
    (load,) = plan(TWO, databases=("shop",))

    assert load.target == "shop"
    assert load.whole
    for name in ("sho*", "SHOP", ""):
        with pytest.raises(DatabaseNotFoundError, match=re.escape(repr(name))):
            plan(TWO, databases=("shop", name))


@pytest.mark.parametrize(
    "options", [{"tables": ("users",)}, {"exclude_tables": ("orders",)}, {"tables": ("*",)}]
)
def test_a_backup_of_some_tables_is_never_restored_whole(options):
    """What it left out is not dropped."""
    (load,) = plan(with_options(**options))

    assert not load.whole
    assert load.entry == SHOP


def test_another_name_takes_one_database():
    """All of it, or some of its tables."""
    (whole,) = plan(into="copy")
    (some,) = plan(TWO, into="copy", tables=("posts",))

    assert (whole.target, whole.whole) == ("copy", True)
    assert (some.target, some.whole) == ("copy", False)
    with pytest.raises(InvalidRequestError, match="2 are to be restored") as caught:
        plan(TWO, into="copy")
    assert "--database" in (caught.value.hint or "")
    assert plan(TWO, into="copy", databases=("blog",))[0].entry == BLOG


@pytest.mark.parametrize("name", ["x" * 65, "x ", "x\n", " ", "a\0b", "表" * 65])
def test_names_that_no_database_can_have_are_refused(name):
    """Before the server is asked; as many characters as it allows are fine."""
    with pytest.raises(InvalidRequestError, match="no database can be named"):
        plan(into=name)
    assert plan(into="表" * 64)[0].target == "表" * 64


@pytest.mark.parametrize("name", ["mysql", "sys", "shop__bk_new_0123456789ab"])
def test_names_of_the_server_and_of_restores_are_refused(name):
    """Nobody's data belongs there, and backups of everything leave them out."""
    with pytest.raises(InvalidRequestError, match="name of the server"):
        plan(into=name)


@pytest.mark.parametrize(
    ("asked", "manifest"),
    [
        ({"schema_only": True, "data_only": True}, ONE),
        ({"data_only": True, "into": "other"}, ONE),
        ({"data_only": True}, with_options(include_data=False)),
    ],
)
def test_options_that_exclude_each_other_are_refused(asked, manifest):
    """The request says two things; neither is done."""
    with pytest.raises(InvalidRequestError):
        plan(manifest, **asked)


def test_definitions_only_leave_out_rows_but_not_positions():
    """A table is expected empty afterwards; a sequence has no rows, its position is its definition."""
    manifest = replace(ONE, databases=(replace(SHOP, tables=(COUNTER, *SHOP.tables)),))

    (load,) = plan(manifest, schema_only=True)

    counter, *tables = load.entry.tables
    assert counter == COUNTER
    assert [(table.rows, table.raw_size) for table in tables] == [(0, 0)] * 3
    assert all(table.partial for table in tables)
    assert not load.include_rows
    assert load.whole


def test_rows_only_leave_everything_else():
    """Other tables, views and routines stay: the restore is not whole."""
    (load,) = plan(data_only=True)

    assert not load.whole
    assert load.include_rows
    assert load.entry == SHOP
