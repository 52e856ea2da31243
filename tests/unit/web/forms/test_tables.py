"""Tables to tick: what was ticked comes back as ticks, and the rest as lines."""

from starlette.datastructures import FormData

from app.domain.server.inventory import Inventory, InventoryTable
from app.web.forms.tables import choosable, exactly, with_ticks


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
