"""Foreign keys: which of them cross the border of what moves."""

from hypothesis import given, strategies as st

from app.domain.restores.journal import ForeignKey
from app.engine.schema.foreign_keys import Binding, build_foreign_key, crossing, moved
from app.engine.schema.tables import TableRef


NAMES = st.sampled_from(["a", "b", "c"])
BINDINGS = st.lists(st.builds(Binding, NAMES, NAMES, NAMES, NAMES, NAMES), unique=True)
TABLES = st.lists(st.builds(TableRef, NAMES, NAMES, st.just("InnoDB")), unique=True)


def binding(child: str, parent: str) -> Binding:
    """Make a foreign key of two tables, each `database.table`."""
    database, _, table = child.partition(".")
    parent_database, _, name = parent.partition(".")
    return Binding(database, table, "fk", parent_database, name)


def test_children_that_stay_are_told_from_children_that_move():
    """Those between two tables that move, or two that stay, need nothing."""
    inner, outer = binding("shop.orders", "shop.users"), binding("shop.x", "shop.y")
    staying, leaving = binding("shop.x", "shop.users"), binding("shop.orders", "shop.x")
    moving = [TableRef("shop", "orders", "InnoDB"), TableRef("shop", "users", "")]

    assert crossing([inner, staying, outer, leaving], moving) == ([staying], [leaving])


def test_a_table_that_refers_to_itself_takes_that_along():
    """Child and parent move together."""
    assert crossing([binding("shop.a", "shop.a")], [TableRef("shop", "a", "")]) == ([], [])


def test_tables_of_one_name_in_other_databases_are_others():
    """Only the whole name says what moves."""
    abroad = binding("other.orders", "shop.users")

    assert crossing([abroad], [TableRef("shop", "users", "")]) == ([abroad], [])
    assert crossing([abroad], [TableRef("shop", "orders", "")]) == ([], [])
    assert crossing([abroad], [TableRef("other", "orders", "")]) == ([], [abroad])


@given(BINDINGS, TABLES)
def test_the_border_is_the_same_from_both_sides(bindings, moving):
    """What stays as child of the moving tables leaves as child of the others."""
    every = {(key.database, key.table) for key in bindings}
    every |= {(key.parent_database, key.parent) for key in bindings}
    others = every - {(table.database, table.name) for table in moving}

    staying, leaving = crossing(bindings, moving)
    back = crossing(bindings, [TableRef(*other, "") for other in others])

    assert back == (leaving, staying)


def test_a_foreign_key_is_bound_to_its_parent_by_its_whole_name():
    """So that it can be made wherever its child is."""
    key = build_foreign_key(
        Binding("shop", "or`ders", "f,k", "sh.op", "us`ers"),
        "FOREIGN KEY (`a`) REFERENCES `old`.`x` (`id`) ON DELETE CASCADE",
    )

    assert key.clause == "FOREIGN KEY (`a`) REFERENCES `sh.op`.`us``ers` (`id`) ON DELETE CASCADE"
    assert (key.database, key.table, key.name) == ("shop", "or`ders", "f,k")


def test_a_moved_child_keeps_its_parent():
    """Only the child's database is another one."""
    key = ForeignKey("shop", "orders", "fk", "shop", "users", "FOREIGN KEY ...")

    assert moved([key], "kept") == (
        ForeignKey("kept", "orders", "fk", "shop", "users", "FOREIGN KEY ..."),
    )
