"""Ends of current rows, as a server and a backup of another version have them."""

from app.engine.rows.history import RowEnds


OLD, NEW = b"'2038-01-19 03:14:07.999999'", b"'2106-02-07 06:28:15.999999'"
HEAD = b"INSERT INTO `t` (`a`,`b`,`e`) VALUES\n("
ENDS = RowEnds(column=2, columns=3, saved=OLD, live=NEW)
PAST = b"'2020-01-01 00:00:00.000000'"


def statement(*rows: tuple[bytes, ...]) -> bytes:
    """Make an INSERT as a backup has it."""
    return HEAD + b"),\n(".join(b",".join(values) for values in rows) + b");\n"


def test_only_the_end_of_a_row_is_another():
    """A text, a time of the user's or the end of a row of the past that reads the same stays."""
    odd = rb"'\'),\n(,\\'"
    rows = [(b"-1.5e10", OLD, OLD), (b"NULL", odd, PAST), (b"_sjis X'00'", b"X'2C'", OLD)]
    saved = statement(*rows)
    live = statement(*[(a, b, NEW if e == OLD else e) for a, b, e in rows])

    assert ENDS.as_live(HEAD, saved) == live
    assert ENDS.as_saved(HEAD, live) == saved


def test_rows_of_the_past_alone_stay():
    """Nothing is looked for in them."""
    saved = statement((b"1", b"''", PAST))

    assert ENDS.as_live(HEAD, saved) is saved


def test_a_bound_of_a_key_ends_as_its_row():
    """It is compared with live rows."""
    assert ENDS.bound(("1", OLD.decode())) == ("1", NEW.decode())
    assert ENDS.bound(("1", PAST.decode())) == ("1", PAST.decode())
