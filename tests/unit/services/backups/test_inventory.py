"""What of a server a backup would hold: names and patterns, as a backup itself takes them."""

from dataclasses import replace

import pytest

from app.domain.server.inventory import Inventory, InventoryTable
from app.engine.dump.dump import choose
from app.engine.schema.tables import Table
from app.errors import TableNotFoundError
from app.services.backups.inventory import select
from tests.fixtures.archives import table_of


TABLES = tuple(
    InventoryTable(database, name, rows=10, size=100)
    for database, name in (
        ("log", "old"),
        ("log", "orders"),
        ("shop", "a.b"),
        ("shop", "a[b]"),
        ("shop", "order_items"),
        ("shop", "orders"),
    )
)
SERVER = Inventory(("log", "shop"), TABLES)


def labels(tables):
    return [table.label for table in tables]


def test_everything_is_taken_where_nothing_is_named():
    """Of the databases that are named, or of all; rows and bytes are sums."""
    found = select(SERVER, [], [], [])
    assert (found.taken, found.left_out, found.would_fail) == (TABLES, (), False)
    assert (found.rows, found.size) == (60, 600)
    assert labels(select(SERVER, ["log"], [], []).taken) == ["log.old", "log.orders"]


def test_each_pattern_says_what_it_means():
    """In the databases that are meant alone; one that leaves nothing out does no harm."""
    found = select(SERVER, ["shop"], ["orders", "order_*"], ["log.*", "shop.order_*"])
    assert labels(found.taken) == ["shop.orders"]
    assert [(pattern.pattern, labels(pattern.tables)) for pattern in found.patterns] == [
        ("orders", ["shop.orders"]),
        ("order_*", ["shop.order_items"]),
        ("log.*", []),
        ("shop.order_*", ["shop.order_items"]),
    ]
    assert not found.would_fail


def test_what_is_not_there_would_fail():
    """A database, or a pattern that nothing matches."""
    assert select(SERVER, ["shop", "gone"], [], []).missing == ("gone",)
    assert select(SERVER, ["gone"], [], []).would_fail
    assert select(SERVER, [], ["gone_*"], []).would_fail


def test_a_server_that_keeps_names_in_lower_case_is_asked_in_lower_case():
    """As a backup asks it."""
    folding = replace(SERVER, folds_names=True)
    assert labels(select(folding, ["SHOP"], ["Orders"], []).taken) == ["shop.orders"]
    assert select(SERVER, ["SHOP"], ["Orders"], []).would_fail


@pytest.mark.parametrize(
    "include", [[], ["orders"], ["shop.*"], ["a.b"], ["a[b]"], ["a[[]b]"], ["*"]]
)
@pytest.mark.parametrize("exclude", [[], ["orders"], ["log.*"], ["shop.a?b"], ["a[b]"], ["[ao]*"]])
def test_the_same_is_taken_as_by_a_backup(include, exclude):
    """Whatever the pattern: the list shows what comes."""
    every = [Table(table.database, table_of(table.name, 0)) for table in TABLES]
    try:
        taken = [table.label for table in choose(every, include, exclude)]
    except TableNotFoundError:
        taken = None
    found = select(SERVER, [], include, exclude)
    assert (None if found.would_fail else labels(found.taken)) == taken
