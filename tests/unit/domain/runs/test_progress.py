"""Progress: counters that whoever watches can trust."""

import pytest

from app.domain.runs.progress import JournalLine, Pace, Phase, Progress, ProgressReport


def test_counters_add_up_and_the_listener_hears_each_change():
    """Rows, bytes and tables are counted from the moment that totals are known."""
    heard = []
    progress = Progress(listener=lambda report: heard.append((report.phase, report.rows_done)))

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


def test_a_rate_counts_from_the_beginning_of_its_phase():
    """What an earlier phase moved or waited does not make the next one slower or faster."""
    progress, pace = Progress(), Pace(0.0)
    idle = pace.rate(progress, 60.0)
    progress.enter(Phase.LOAD)
    pace.rate(progress, 60.2)
    progress.moved("a.t", rows=1, size=4000)

    assert idle == 0
    assert pace.rate(progress, 62.0) == pytest.approx(2000)
    progress.expect(tables=1, rows=1, size=10)  # counts from zero again, in the same phase
    progress.moved("a.t", rows=1, size=10)
    assert pace.rate(progress, 64.0) == pytest.approx(5)


def test_a_rate_that_is_seldom_asked_for_promises_nothing():
    """A log has a line every three seconds: a phase that began in between is not a fifth of one old."""
    progress, pace = Progress(), Pace(0.0)
    pace.rate(progress, 3.0)
    progress.enter(Phase.DUMP)
    progress.moved("a.t", rows=1, size=300)

    assert pace.rate(progress, 6.0) == pytest.approx(100)


def test_a_rate_over_no_time_is_finite():
    """The first look at a phase divides by a fifth of a second, whatever the clock says."""
    progress = Progress(phase=Phase.DUMP, bytes_done=100)

    assert Pace(5.0).rate(progress, 5.0) == pytest.approx(500)


def test_a_report_holds_the_counters_of_its_moment():
    """Later changes do not reach it; the time of the run goes on through all phases."""
    progress, pace = Progress(), Pace(100.0)
    progress.expect(tables=2, rows=10, size=3_000_000)
    progress.enter(Phase.DUMP)
    pace.report(progress, 110.2)
    progress.moved("shop.users", rows=1, size=1_000_000)
    report = pace.report(progress, 112.0)
    progress.moved("shop.users", rows=9, size=2_000_000)

    assert report == ProgressReport(
        phase="dump",
        table="shop.users",
        tables_done=0,
        tables_total=2,
        rows_done=1,
        rows_total=10,
        bytes_done=1_000_000,
        bytes_total=3_000_000,
        bytes_per_second=500_000.0,
        seconds_left=4.0,
        elapsed=12.0,
        journal=(JournalLine(10.2, "dump"),),
    )


def test_a_journal_has_an_end():
    """A run that begins again and again keeps what came first; each reader has its own times."""
    progress = Progress()
    first, second = Pace(0.0), Pace(10.0)
    progress.note("begun again: t was replaced")
    assert first.report(progress, 11.0).journal == (
        JournalLine(11.0, "begun again: t was replaced"),
    )
    for _ in range(1000):
        progress.enter(Phase.SNAPSHOT)
    lines = second.report(progress, 12.0).journal

    assert len(lines) == 200
    assert lines[0] == JournalLine(2.0, "begun again: t was replaced")


@pytest.mark.parametrize(
    ("done", "total"),
    [(0, 100), (100, 0), (100, 100), (120, 100)],
    ids=["nothing-done", "total-unknown", "done", "more-than-estimated"],
)
def test_no_time_is_left_that_nobody_knows(done, total):
    """A guess needs a beginning, an end and something between them."""
    progress = Progress(phase=Phase.DUMP, bytes_done=done, bytes_total=total)

    assert Pace(0.0).report(progress, 1.0).seconds_left is None
