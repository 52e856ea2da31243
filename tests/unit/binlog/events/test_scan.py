"""The rules of a log, on logs of real servers."""

import pytest

from app.binlog.events.headers import Malformed, Place, read_rotate
from app.binlog.events.scan import Scan
from tests.fixtures.binlog import VARIANTS, corpus, events_of


def scanned(variant, number=0):
    """Scan a file; returns the scan and its transactions."""
    scan = Scan()
    groups = [scan.accept(event) for event in events_of(corpus(variant)[number])]
    return scan, [group for group in groups if group]


def accept_all(scan, events):
    """Let a scan take events."""
    for event in events:
        scan.accept(event)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_is_transactions_that_tile_it(variant):
    """Each statement of the corpus is one, and between them stands what belongs to no transaction."""
    scan, groups = scanned(variant)

    assert len(groups) == 13
    assert [group.end for group in groups[:-1]] == [group.start for group in groups[1:]]
    assert groups[-1].end == scan.border - 44 + 4 * ("payload" in variant)  # a Rotate ends it
    assert scan.next == Place("binlog.000002", 4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_next_file_begins_where_the_last_one_ended(variant):
    """Its list of GTIDs is the state that the transactions before it add up to."""
    first, _ = scanned(variant)
    second = Scan(gtids=first.gtids)
    for event in events_of(corpus(variant)[1]):
        second.accept(event)

    assert second.next == Place("", 4)
    assert second.gtids
    assert first.gtids
    assert second.gtids.text != first.gtids.text


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_of_another_log_is_refused(variant):
    """A list of GTIDs that differs from what is known is a gap."""
    events = events_of(corpus(variant)[1])
    scan = Scan(gtids=scanned(variant)[0].gtids)
    assert scan.gtids
    scan.gtids.add(
        "0-1-99" if variant.startswith("mariadb") else f"{'0' * 8}-0000-0000-0000-{'1' * 12}:5"
    )

    with pytest.raises(Malformed, match="the file begins at"):
        accept_all(scan, events)


@pytest.mark.parametrize("variant", ["mariadb-10.11", "mysql-9.7"])
def test_every_flipped_bit_is_noticed(variant):
    """Checksums cover all of an event, and the in-use bit alone is none of its content."""
    for event in events_of(corpus(variant)[0])[:4]:
        for offset in range(0, len(event), 3):
            changed = bytearray(event)
            changed[offset] ^= 0x10
            scan = Scan()
            found = events_of(corpus(variant)[0])[:5]
            with pytest.raises(Malformed):
                accept_all(scan, [bytes(changed) if other == event else other for other in found])


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_event_that_is_left_out_is_noticed(variant):
    """Positions say so, whatever the event was."""
    events = events_of(corpus(variant)[0])
    for left_out in range(1, len(events) - 1):
        scan = Scan()
        with pytest.raises(Malformed):
            accept_all(scan, [*events[:left_out], *events[left_out + 1 :]])


def test_a_rotation_is_read_with_and_without_a_checksum():
    """What a server makes for a reader says by itself whether it has one."""
    (*_, rotate) = events_of(corpus("mariadb-10.11")[0])

    assert read_rotate(rotate, has_checksums=True) == Place("binlog.000002", 4)
    assert read_rotate(rotate[:-4], has_checksums=False) == Place("binlog.000002", 4)


def test_a_scan_goes_on_from_its_border():
    """What stood behind the last whole transaction is forgotten, and may come again."""
    events = events_of(corpus("mysql-9.7")[0])
    scan = Scan()
    for event in events[:9]:
        scan.accept(event)
    again = scan.at_border()

    assert scan.border < scan.position
    assert (again.position, again.border) == (scan.border, scan.border)
    assert again.gtids
    assert scan.gtids
    assert again.gtids.text == scan.gtids.text
