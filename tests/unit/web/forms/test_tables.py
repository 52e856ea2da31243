"""Tables to tick: what was ticked comes back as ticks, and the rest as lines."""

import pytest
from starlette.datastructures import FormData

from app.domain.server.inventory import Inventory, InventoryTable
from app.web.forms.tables import choosable, exactly, lines_of, with_ticks


SERVER = Inventory(
    ("log", "shop"),
    (InventoryTable("log", "old"), InventoryTable("shop", "a*"), InventoryTable("shop", "orders")),
)
TYPED = {"databases": "more", "tables": "o*\nshop.orders", "exclude_tables": ""}


def test_ticks_are_added_to_what_was_typed():
    """Names of tables as patterns that mean nothing else; twice is once."""
    form = FormData([
        ("database", "shop"),
        ("only", "shop.a*"),
        ("only", "shop.orders"),
        ("without", "log.old"),
    ])
    assert with_ticks(form, TYPED) == {
        "databases": "more\nshop",
        "tables": "o*\nshop.orders\nshop.a[*]",
        "exclude_tables": "log.old",
    }


def test_ticks_come_back_as_ticks():
    """And what no tick stands for as lines; without the server all are lines."""
    form = FormData([("database", "shop"), ("only", "shop.a*"), ("without", "log.old")])
    found = choosable(SERVER, with_ticks(form, TYPED))
    ticks = {
        table.label: (only, without)
        for _, tables in found.tables
        for table, only, without in tables
    }
    assert found.databases == (("log", False), ("shop", True))
    assert ticks == {
        "log.old": (False, True),
        "shop.a*": (True, False),
        "shop.orders": (True, False),
    }
    assert found.others == {"databases": "more", "tables": "o*", "exclude_tables": ""}
    assert choosable(None, TYPED, "why").others == TYPED


@pytest.mark.parametrize("name", ["\u3000shop", "a\u2028b", "a\x85b", "shop\xa0"])
def test_what_is_ticked_comes_out_as_it_was_put_in(name):
    """A name that begins or ends with what looks like a space, or has what looks like an end of a line, is no other."""
    server = Inventory((name, "shop"), (InventoryTable("shop", name),))
    assert (name, False) in choosable(server).databases
    form = FormData([("database", name), ("without", f"shop.{name}")])
    typed = with_ticks(form, dict.fromkeys(TYPED, ""))

    assert lines_of(typed["databases"]) == [name]
    assert lines_of(typed["exclude_tables"]) == [f"shop.{name}"]
    assert (name, True) in choosable(server, typed).databases


@pytest.mark.parametrize("name", [" shop", "a\nb", "a\rb"])
def test_what_no_line_can_hold_cannot_be_ticked(name):
    """It would be another name when it comes back, and that may be one that is there."""
    server = Inventory((name, "shop"), (InventoryTable("shop", f"t{name}"),))
    found = choosable(server)

    assert found.databases == (("shop", False),)
    assert not [table for _, group in found.tables for table, _, _ in group if "\n" in table.name]
    assert lines_of(" a \t\r\n\n b") == ["a", "b"]


def test_of_many_tables_none_is_ticked():
    """Patterns choose them, and stay what they are."""
    many = Inventory(
        ("shop",), tuple(InventoryTable("shop", f"t{number}") for number in range(201))
    )
    found = choosable(many, TYPED)
    assert (found.tables, found.count, found.others["tables"]) == ((), 201, TYPED["tables"])


def test_a_name_is_a_pattern_of_itself():
    """Also one with an end of a line, which forms change."""
    assert exactly("a*[b]?") == "a[*][[]b][?]"
    assert exactly("a\r\nb") == "a[\r\n]b"
