"""Help and completion, as shells and people at a terminal get them."""

import subprocess
import sys

import pytest

from app.cli.program import build_program
from tests.fixtures import forked_program
from tests.fixtures.cli import PROGRAM


# What only the work of a command needs; typer itself has pydantic read arguments.
HEAVY = ("sqlalchemy", "aiomysql", "structlog", "fastapi", "rich", "app.cli.commands")


def _run(*command, **environment):
    return subprocess.run(
        command, env={"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def _complete(line, home):
    words = line.split(" ")
    completed = forked_program.call(
        [], home, {"_BACKSTAY_COMPLETE": "complete_bash",
                   "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
    )  # fmt: skip
    assert (completed.returncode, completed.stderr) == (0, "")
    return completed.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("backstay re", ["restore", "recover", "recovery-point"]),
        ("backstay backup p", ["pin", "prune"]),
        ("backstay restore ", ["run", "options", "undo"]),
        ("backstay restore run --d", ["--database", "--data-only", "--dry-run", "--drill"]),
        ("backstay backup create --codec ", ["gzip", "zstd", "none"]),
        ("backstay user role somebody ", ["viewer", "operator", "admin"]),
        ("backstay --v", ["--version", "--verbose"]),
    ],
)
def test_bash_completes_commands_options_and_choices(line, words, tmp_path):
    """Bash asks by COMP_WORDS and COMP_CWORD."""
    assert _complete(line, tmp_path) == words


@pytest.mark.parametrize(
    ("shell", "settings", "answer"),
    [
        ("zsh", {}, """_arguments '*: :(("unpin":"Unpin a backup, so that it can be deleted."))'\n"""),
        (
            "fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "unpin\tUnpin a backup, so that it can be deleted.\n",
        ),
    ],
)  # fmt: skip
def test_zsh_and_fish_show_what_a_command_does(shell, settings, answer):
    """They ask by the whole line, and get the one line of help too."""
    completed = _run(
        PROGRAM, _BACKSTAY_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_ARGS="backstay backup un", **settings,
    )  # fmt: skip

    assert (completed.returncode, completed.stdout) == (0, answer)


def test_the_script_for_bash_works_in_bash(tmp_path):
    """What --install-completion writes is read by the next bash, and completes there."""
    installed = _run("bash", "-c", "backstay --install-completion; true", HOME=str(tmp_path))
    script = """
        eval "$(cat ~/.bashrc)"
        COMP_WORDS=(backstay backup v)
        COMP_CWORD=2
        _backstay_completion backstay
        echo "${COMPREPLY[@]}"
    """
    completed = _run("bash", "-c", script, HOME=str(tmp_path))

    assert installed.stderr == ""
    assert (completed.stdout, completed.stderr) == ("verify\n", "")


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["backup", "--help"], ["user"]],
    ids=" ".join,
)
def test_lists_of_commands_import_no_command(arguments):
    """So they are there at once."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\n"
        "from app.cli.program import main\n"
        f"sys.argv[1:] = {arguments}\n"
        "main()"
    )
    imported = set(_run(sys.executable, "-c", program).stderr.split())

    assert "app.cli.program" in imported
    assert not imported & {*HEAVY}
    assert not any(name.startswith("app.cli.commands.") for name in imported)


def _commands(command, *path):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, *path, name)


COMMANDS = list(_commands(build_program(), "backstay"))


def test_a_list_of_commands_has_one_line_for_each(tmp_path):
    """On a terminal of 80 columns, in full."""
    for path, group in COMMANDS:
        if not hasattr(group, "commands"):
            continue
        shown = forked_program.call([*path[1:], "-h"], tmp_path, {"COLUMNS": "80"}).stdout
        lines = [line.split(maxsplit=1) for line in shown.partition("Commands:\n")[2].splitlines()]

        assert [name for name, _ in lines] == list(group.commands)
        assert all(summary.endswith(".") for _, summary in lines)


def test_every_command_has_help_and_a_short_option_for_it(cli):
    """`-h` is `--help` on all of them."""
    for path, _ in COMMANDS:
        shown = cli(*path[1:], "-h")

        assert (shown.code, shown.err) == (0, "")
        assert shown.out == cli(*path[1:], "--help").out
        assert shown.out.startswith(f"Usage: {' '.join(path)}")
