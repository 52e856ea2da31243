"""Log lines: their shape, what stands on each, and where they go."""

import asyncio
import io
import json
import logging
import os
import re
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.concurrency import run_in_thread
from app.errors import InvalidRequestError
from app.telemetry.context import afresh, bind, bound, facts
from app.telemetry.logs import LogPlan, start_logging


LOUD = ("app", "uvicorn", "apscheduler")


@pytest.fixture
def log():
    """A logger of the program; the loggers are put back as they were afterwards."""
    root = logging.getLogger()
    handlers, levels = list(root.handlers), {name: logging.getLogger(name).level for name in LOUD}
    level = root.level
    yield logging.getLogger("app.somewhere")
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines_of(text):
    """Parse lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]


# -- shape ------------------------------------------------------------------------------------------


def test_a_line_is_time_level_message_and_facts(log, capsys):
    """As docs/settings.md shows it; no facts, no braces."""
    start_logging(LogPlan())
    log.info("Starting", extra={"facts": {"backup_id": "b", "duration": 2.45}})
    log.warning("Removing an unfinished backup failed: %s", "x.partial")
    log.debug("unseen")
    first, second = capsys.readouterr().err.splitlines()

    assert re.fullmatch(
        r'\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] INFO: Starting {"backup_id":"b","duration":2.45}',
        first,
    )
    assert second.endswith("] WARNING: Removing an unfinished backup failed: x.partial")


def test_a_json_line_is_one_object(log, capsys):
    """Time in UTC, level, event and logger always; facts, context and exception where there are."""
    start_logging(LogPlan(form="json"))
    with bound(run_id="run_1", user="anna", schedule=""):
        log.info("Starting", extra={"facts": {"backup_id": "b", "sizes": (1, 2.5, None, True)}})
    log.error("failed", exc_info=ValueError("why"))
    first, second = lines_of(capsys.readouterr().err)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "info",
        "event": "Starting",
        "logger": "app.somewhere",
        "run_id": "run_1",
        "user": "anna",
        "facts": {"backup_id": "b", "sizes": [1, 2.5, None, True]},
    }
    assert set(second) == {"time", "level", "event", "logger", "exception"}
    assert second["exception"] == "ValueError: why"


@pytest.mark.parametrize(
    ("form", "is_terminal", "is_json"),
    [("auto", True, False), ("auto", False, True), ("line", False, False), ("json", True, True)],
)
def test_the_form_follows_the_setting_or_the_terminal(log, monkeypatch, form, is_terminal, is_json):
    """`auto` writes for people where people look."""
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", shown)
    start_logging(LogPlan(form=form))
    log.info("Starting")

    assert shown.getvalue().startswith("{" if is_json else "[")


def test_libraries_are_heard_in_the_same_form(log, capsys):
    """Ours and the server's from the level on, all others from warnings on, each once."""
    start_logging(LogPlan(form="json"))
    for name in ("uvicorn.error", "apscheduler.scheduler", "asyncio", "sqlalchemy.pool", "app.x"):
        logging.getLogger(name).info("information")
        logging.getLogger(name).warning("warning")

    found = [(line["logger"], line["level"]) for line in lines_of(capsys.readouterr().err)]
    assert found == [
        ("uvicorn.error", "info"),
        ("uvicorn.error", "warning"),
        ("apscheduler.scheduler", "warning"),
        ("asyncio", "warning"),
        ("sqlalchemy.pool", "warning"),
        ("app.x", "info"),
        ("app.x", "warning"),
    ]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_level_is_the_least_that_is_logged(log, capsys, level):
    """Of ours and of libraries."""
    start_logging(LogPlan(level=level))
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)
        getattr(logging.getLogger("asyncio"), name)(f"other {name}")
    found = capsys.readouterr().err

    names = ["debug", "info", "warning", "error"]
    wanted = names[names.index(level) :]
    assert [name for name in names if f": {name}\n" in found] == wanted
    assert [name for name in names if f"other {name}" in found] == [
        name for name in wanted if name in {"warning", "error"}
    ]


FORGED = "x\n[2024-01-31 14:30:15] INFO: forged\r\x1b[2J\u2028y\u202e"


@pytest.mark.parametrize("form", ["line", "json"])
def test_nobody_forges_a_line(log, capsys, form):
    """Line ends and control characters in messages, facts, their names and exceptions are escaped."""
    start_logging(LogPlan(form=form))
    log.info("%s", FORGED, extra={"facts": {FORGED: [FORGED]}}, exc_info=ValueError(FORGED))
    log.info("next")
    written = capsys.readouterr().err

    assert not re.search("[\r\x1b\u2028\u202e]", written)
    assert len(re.findall(r"^[\[{]", written, re.MULTILINE)) == 2
    assert all(line.startswith(("[", "{", "    ")) for line in written.splitlines())
    assert "forged" in written


def test_odd_facts_do_not_disturb(log, capsys):
    """What holds itself, has no JSON, is no mapping, or half a character, is written somehow."""
    start_logging(LogPlan(form="json"))
    round_one: list[object] = []
    round_one.append(round_one)
    odd = [float("nan"), b"\xff", {1, 2}, "\ud83d", object, round_one]
    log.info("odd", extra={"facts": {"odd": odd}})
    log.info("none", extra={"facts": 5})
    first, second = lines_of(capsys.readouterr().err)

    assert first["facts"]["odd"][:4] == ["nan", "\\xff", [1, 2], "\ud83d"]
    assert second["facts"] == {"facts": 5}


def test_a_line_that_cannot_be_made_does_not_disturb(log, capsys):
    """A fact that has no text loses that line alone."""

    class Silent:
        def __str__(self):
            raise ZeroDivisionError

    start_logging(LogPlan())
    log.info("lost", extra={"facts": {"silent": Silent()}})
    log.info("next")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("INFO: next")


def test_a_second_start_takes_the_place_of_the_first(log, capsys, tmp_path):
    """Every line is written once, to the newest place."""
    start_logging(LogPlan())
    start_logging(LogPlan(file=tmp_path / "log"))
    log.info("here")

    assert capsys.readouterr().err == ""
    assert (tmp_path / "log").read_text().endswith("here\n")


# -- context ----------------------------------------------------------------------------------------


async def test_tasks_and_threads_have_the_context_of_who_began_them(log, capsys):
    """Those of the loop, of a pool of ours, and tasks; nobody else's."""
    start_logging(LogPlan(form="json"))
    pool = ThreadPoolExecutor(1)

    async def work(name):
        bind(run_id=name)
        await asyncio.to_thread(log.info, name)
        await run_in_thread(lambda: log.info(name))
        await run_in_thread(lambda: log.info(name), executor=pool)
        await asyncio.create_task(asyncio.to_thread(log.info, name))

    await asyncio.gather(work("a"), work("b"))
    pool.shutdown()
    log.info("outside")

    found = lines_of(capsys.readouterr().err)
    assert len(found) == 9
    assert all(line.get("run_id") == line["event"] for line in found[:-1])
    assert "run_id" not in found[-1]


def test_blocks_end_with_what_was_there_before():
    """Empty facts are none, and a fresh block has nothing of what is around it."""
    with bound(user="anna", schedule="shop"):
        with bound(schedule="", run_id="r"):
            assert facts() == {"user": "anna", "run_id": "r"}
        with afresh(request_id="q"):
            bind(user="bob")
            assert facts() == {"request_id": "q", "user": "bob"}
        assert facts() == {"user": "anna", "schedule": "shop"}
    assert facts() == {}


def test_the_context_stands_after_the_facts_of_a_line(log, capsys):
    """What a line says of itself stays as it is."""
    start_logging(LogPlan())
    with bound(run_id="r", user="anna"):
        log.info("made", extra={"facts": {"backup_id": "b", "user": "bob"}})

    assert capsys.readouterr().err.endswith('made {"backup_id":"b","user":"bob","run_id":"r"}\n')


# -- files ------------------------------------------------------------------------------------------


def test_a_file_is_private_and_rotated(log, tmp_path):
    """Whatever the umask; so many old ones, each as large as is set."""
    path = tmp_path / "backstay.log"
    before = os.umask(0)
    try:
        start_logging(LogPlan(file=path, max_bytes=1024, keep=2))
        for number in range(60):
            log.info("line %d of many", number)
    finally:
        os.umask(before)

    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["backstay.log", "backstay.log.1", "backstay.log.2"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(file.stat().st_size <= 1024 for file in files)
    assert path.read_text().splitlines()[-1].endswith("line 59 of many")


def test_a_file_without_old_ones_begins_anew(log, tmp_path):
    """With no old files kept, the log still never grows beyond its size."""
    path = tmp_path / "backstay.log"
    start_logging(LogPlan(file=path, max_bytes=1024, keep=0))
    for number in range(60):
        log.info("line %d of many", number)

    assert [path.name for path in tmp_path.iterdir()] == ["backstay.log"]
    assert path.stat().st_size <= 1024
    assert path.read_text().splitlines()[-1].endswith("line 59 of many")


def test_a_file_that_was_moved_is_made_again(log, tmp_path):
    """As logrotate does, or another process that rotates the same one."""
    path = tmp_path / "backstay.log"
    start_logging(LogPlan(file=path))
    log.info("first")
    path.rename(tmp_path / "old")
    log.info("second")

    assert (tmp_path / "old").read_text().endswith("first\n")
    assert path.read_text().endswith("second\n")
    assert "first" not in path.read_text()


def test_a_line_that_was_torn_is_ended(log, tmp_path):
    """What a crash cut off does not spoil the next line."""
    path = tmp_path / "backstay.log"
    path.write_text('{"event": "half')
    start_logging(LogPlan(file=path, form="json"))
    log.info("next")

    assert json.loads(path.read_text().splitlines()[1])["event"] == "next"


def test_a_full_disk_does_not_disturb(log, capsys):
    """Lines are lost, and that is told once."""
    start_logging(LogPlan(file=Path("/dev/full")))
    for number in range(3):
        log.info("lost %d", number)

    assert capsys.readouterr().err == (
        "Warning: the log cannot be written: no space left on device\n"
    )


def test_a_file_that_cannot_be_rotated_goes_on(log, tmp_path, capsys):
    """Better a log that is too large than none."""
    path = tmp_path / "backstay.log"
    (tmp_path / "backstay.log.1").mkdir()
    (tmp_path / "backstay.log.1" / "x").touch()
    start_logging(LogPlan(file=path, max_bytes=1024, keep=1))
    for number in range(60):
        log.info("line %d of many", number)

    assert path.read_text().count("\n") == 60
    assert capsys.readouterr().err.count("cannot be written") == 1


@pytest.mark.parametrize("name", ["missing/backstay.log", ""])
def test_a_file_that_cannot_be_opened_is_refused(log, tmp_path, capsys, name):
    """By the name of the variable; lines go where they went before."""
    start_logging(LogPlan())
    with pytest.raises(InvalidRequestError, match="BACKSTAY_LOG_FILE: cannot be opened"):
        start_logging(LogPlan(file=tmp_path / name))
    log.info("still here")

    assert "still here" in capsys.readouterr().err


def test_a_pipe_takes_what_is_read_of_it_and_the_rest_is_lost(log, tmp_path, capsys):
    """Nobody who works waits for whoever reads the log, be it at the start or when the pipe is full."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequestError, match="BACKSTAY_LOG_FILE"):
        start_logging(LogPlan(file=tmp_path / "pipe"))

    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    start_logging(LogPlan(form="line", file=tmp_path / "pipe", repeats=0))
    for number in range(2000):
        log.info("line %d %s", number, "x" * 100)

    assert b"line 0 x" in os.read(reader, 1 << 20)
    assert "the log cannot be written" in capsys.readouterr().err
    os.close(reader)


def test_a_closed_stderr_does_not_disturb(log, monkeypatch):
    """Whoever read it is gone; the work is not."""
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    start_logging(LogPlan())
    closed.close()

    log.info("lost")
    assert closed.closed
