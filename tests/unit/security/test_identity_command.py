"""A program that prints identities: bounded, without a shell, and never quoted."""

import sys
from functools import partial
from pathlib import Path

import pytest

from app.errors import InvalidRequestError
from app.security.identity_command import program_of, run_identity_command
from tests.fixtures.cli import wait_until


def _python(code):
    return f'{sys.executable} -c "{code}"'


def _refused(command, seconds=5.0):
    with pytest.raises(InvalidRequestError, match=r"^BACKSTAY_IDENTITY_COMMAND: ") as caught:
        run_identity_command(command, seconds)
    return str(caught.value) + caught.value.hint


def test_what_it_prints_is_taken():
    """Its stdout; stderr is nobody's, and stdin is empty."""
    code = "import sys; print(sys.argv[1:], sys.stdin.read()); print('hunter2', file=sys.stderr)"

    assert run_identity_command(_python(code) + " 'a b' c") == b"['a b', 'c'] \n"


def test_no_shell_reads_it():
    """What a shell would obey is an argument."""
    code = "import sys; print(sys.argv[1:])"

    assert run_identity_command(f"{_python(code)} $HOME ; echo '|' `id`") == (
        b"['$HOME', ';', 'echo', '|', '`id`']\n"
    )
    assert program_of("vault kv 'get'") == ["vault", "kv", "get"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "names no program"),
        ("cat 'hunter2", "no end"),
        ("/nowhere/hunter2", "no such file"),
        ("/", "permission denied"),
        ("true \0", "a NUL in it"),
        (_python("import sys; print('hunter2'); sys.exit(3)"), "ended with 3"),
        (_python("import os; os.kill(os.getpid(), 9)"), "ended with -9"),
        (_python("print('hunter2' * 10000)"), "more than 65536 bytes"),
        ("yes hunter2", "more than 65536 bytes"),
    ],
)
def test_one_that_fails_is_refused_and_not_quoted(command, words):
    """Neither what it prints nor its arguments."""
    told = _refused(command)

    assert words in told
    assert "hunter2" not in told


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    """Also when it has ended itself, and only its child holds its stdout."""
    for number, last in enumerate(("time.sleep(600)", "os._exit(0)")):
        pids = tmp_path / f"pids{number}"
        script = tmp_path / "wait.py"
        script.write_text(
            "import os, time\n"
            f"if not os.fork():\n    open({str(pids)!r}, 'w').write(str(os.getpid()))\n"
            f"    time.sleep(600)\n{last}\n"
        )
        for seconds in (1.0, 5.0, 25.0):  # a busy machine may not have begun with it
            assert "took too long" in _refused(f"{sys.executable} {script}", seconds)
            if pids.exists():
                break
        child = int(pids.read_text())
        wait_until(partial(_has_ended, child), "the child has ended")


def test_one_that_closes_its_stdout_and_goes_on_is_ended(tmp_path):
    """Its end is waited for, within the same time."""
    script = tmp_path / "close.py"
    script.write_text("import os, time\nos.close(1)\ntime.sleep(60)\n")

    assert "took too long" in _refused(f"{sys.executable} {script}", 1.0)


def _has_ended(pid):
    """Tell whether a process is gone, or waits for nothing but its parent."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return facts.rpartition(")")[2].split()[0] == "Z"
