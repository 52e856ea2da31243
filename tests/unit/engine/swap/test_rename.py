"""Swaps: names of the schemas that recoveries make for themselves, and the moves of a RENAME."""

import pytest
from hypothesis import given, strategies as st

from app.domain.restores.journal import RestoreId, SchemaSwap
from app.engine.flavor import flavor_of
from app.engine.schema.databases import (
    SCRATCH,
    kept_name,
    scratch_pattern,
    staging_name,
)
from app.engine.server.grants import Grants
from app.engine.sql.quoting import MOST_NAME_CHARACTERS, quote
from app.engine.swap.rename import Move, all_moves, last_to_come
from app.storage.journals import new_restore_id


MARIADB = flavor_of("10.11.6-MariaDB")
RECOVERY_ID = RestoreId("restore_0123456789ab")
# The server allows no NUL, no characters beyond U+FFFF and no space at the end.
DATABASES = st.text(
    st.characters(min_codepoint=1, max_codepoint=0xFFFF, exclude_categories=["Cs"]),
    min_size=1,
    max_size=MOST_NAME_CHARACTERS,
).filter(lambda name: not name.endswith(" "))
STRANGE = (
    "shop",
    "x" * 64,
    "表" * 64,
    "a_b%c\\d",
    "_" * 64,
    "%" * 64,
    "\\" * 64,
    "tick`tick",
    "`" * 64,
    "what?",
    "[ab]*",
    "é" * 43,
    "shop__bk_old_0123456789ab",
)


@given(DATABASES)
def test_names_of_scratch_schemas_are_names(database):
    """They fit, they are known as such again, and neither is the other or the database."""
    new, old = staging_name(database, RECOVERY_ID), kept_name(database, RECOVERY_ID)

    assert len({new, old, database}) == 3
    for name in (new, old):
        assert len(name) <= MOST_NAME_CHARACTERS
        assert SCRATCH.search(name)
        assert not name.endswith(" ")


@pytest.mark.parametrize("database", STRANGE)
def test_names_of_scratch_schemas_begin_as_the_database(database):
    """As much of the name as there is room for says whose they are."""
    name = staging_name(database, RECOVERY_ID)

    assert name.endswith("__bk_new_0123456789ab")
    assert database.startswith(name.removesuffix("__bk_new_0123456789ab"))
    assert len(name) == min(len(database) + 21, MOST_NAME_CHARACTERS)


def test_every_restore_has_schemas_of_its_own():
    """Ids are drawn at random, and all of one is in the names."""
    ids = {new_restore_id() for _ in range(100)}

    assert len({staging_name("x" * 64, restore_id) for restore_id in ids}) == 100


def test_databases_of_one_restore_have_schemas_of_their_own():
    """Also where all that there is room for is the same, and whatever the order in which they are given."""
    names = [f"{'x' * 50}{number}" for number in range(20)] + ["shop", "x" * 43]
    last = RestoreId("restore_ffffffffffff")

    found = [staging_name(name, last, names) for name in names]

    assert len(set(found)) == len(names)
    assert found == [staging_name(name, last, reversed(names)) for name in names]
    assert all(SCRATCH.search(name) for name in found)
    assert found[-2] == "shop__bk_new_ffffffffffff"


@pytest.mark.parametrize(
    "name", ["shop", "__bk_new_", "a__bk_new_0123456789AB", "__bk_new_0123456789abc"]
)
def test_other_databases_are_no_scratch_schemas(name):
    """A backup of everything leaves out what is surely ours, nothing else."""
    assert not SCRATCH.search(name)


@given(DATABASES)
def test_the_pattern_of_a_grant_covers_both_schemas(database):
    """Whoever executes the GRANT that the hint names may restore, whatever the database's name."""
    grants = Grants(
        "'u'@'%'", MARIADB, {f"{quote(scratch_pattern(database))}.*": frozenset({"CREATE"})}
    )

    assert grants.allows("CREATE", staging_name(database, RECOVERY_ID))
    assert grants.allows("CREATE", kept_name(database, RECOVERY_ID))


@pytest.mark.parametrize(
    ("database", "other"),
    [("shop", "shop2__bk_new_1"), ("a_b", "axb__bk_new_1"), ("%", "x__bk_new_1"), ("shop", "shop")],
)
def test_the_pattern_of_a_grant_covers_no_other_database(database, other):
    """Underscores and per cent signs of a name are no wildcards in it."""
    grants = Grants(
        "'u'@'%'", MARIADB, {f"{quote(scratch_pattern(database))}.*": frozenset({"CREATE"})}
    )

    assert not grants.allows("CREATE", other)


def test_old_tables_leave_before_new_ones_come():
    """A RENAME is executed from left to right; each database's swap follows the one before."""
    shop = SchemaSwap("shop", "new", "old", incoming=("a", "b"), outgoing=("a", "c"))
    other = SchemaSwap("oth`er", "new2", "old2", incoming=("x",))

    moves = all_moves([shop, other])

    assert moves == [
        Move("shop", "a", "old"),
        Move("shop", "c", "old"),
        Move("new", "a", "shop"),
        Move("new", "b", "shop"),
        Move("new2", "x", "oth`er"),
    ]
    assert moves[0].sql == "`shop`.`a` TO `old`.`a`"
    assert moves[-1].sql == "`new2`.`x` TO `oth``er`.`x`"
    assert all_moves([]) == []


def test_the_last_lock_is_that_of_the_last_name_that_comes():
    """By the bytes of the names, among those of the last statement; what goes does not count."""
    moves = [Move("shop", "z", "old"), Move("new", "é", "shop"), Move("new", "z", "shop")]

    assert last_to_come(moves, {"new"}, 0) == moves[1]
    assert last_to_come(moves, {"new"}, 1) == moves[2]
    assert last_to_come(moves[:1], {"new"}, 0) is None
    assert last_to_come([], {"new"}, 0) is None
