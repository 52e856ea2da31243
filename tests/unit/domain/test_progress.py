"""Progress: counters that whoever watches can trust."""

from app.domain.progress import Phase, Progress


def test_counters_add_up_and_the_listener_hears_each_change():
    """Rows, bytes and tables are counted from the moment that totals are known."""
    heard = []
    progress = Progress(listener=lambda one: heard.append((one.phase, one.rows_done)))

    progress.enter(Phase.DUMP)
    progress.moved("a.t", rows=9, size=9)
    progress.expect(tables=1, rows=10, size=100)
    progress.moved("a.t", rows=4, size=40)
    progress.moved("a.t", rows=6, size=60)
    progress.finished_table("a.t")

    assert (progress.rows_done, progress.bytes_done, progress.tables_done) == (10, 100, 1)
    assert (progress.rows_total, progress.bytes_total, progress.tables_total) == (10, 100, 1)
    assert [rows for _, rows in heard] == [0, 9, 0, 4, 10, 10]
    assert progress.table == "a.t"


def test_nobody_needs_to_listen():
    """Without a listener counting goes on."""
    progress = Progress()

    progress.moved("t", rows=1, size=1)

    assert progress.rows_done == 1
