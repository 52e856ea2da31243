"""What `make audit` passes over: exceptions that are written down with a date and a reason, and no others."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "audit_dependencies.sh"
EXCEPTIONS = ROOT / "scripts" / "audit_exceptions.txt"
NONE = "No known vulnerabilities found"
SOME = "Found 1 known vulnerability in 1 package"
NOBODY = "requests.exceptions.ConnectionError: nobody answers"


def test_each_exception_has_a_date_and_a_reason():
    """Whoever looks at it next year knows why it was right."""
    lines = [line for line in EXCEPTIONS.read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Z][\w-]+ \d{4}-\d\d-\d\d \w.{20,}", line) for line in lines)


@pytest.mark.parametrize(
    ("says", "of_old", "code"),
    [(NONE, SOME, 0), (SOME, SOME, 1), (NONE, NONE, 2), (NOBODY, NOBODY, 2), (NONE, NOBODY, 2)],
)
def test_what_is_found_is_a_failure_and_so_is_no_answer(tmp_path, says, of_old, code):
    """The service is asked about all but the exceptions, and whether it knows of any; comments are none."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "scripts")
    shutil.copy(EXCEPTIONS, tmp_path / "scripts")
    with (tmp_path / "scripts" / EXCEPTIONS.name).open("a") as file:
        file.write(
            "# CVE-2020-0000 2026-01-31 is a comment\nGHSA-aaaa-bbbb 2026-01-31 Not called.\n"
        )
    program = tmp_path / ".venv" / "bin" / "pip-audit"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *stdin*) grep -q "^jinja2==2.10$" || exit 3; said="{of_old}" ;;\n'
        f'*) echo "$@" > asked; said="{says}" ;; esac\n'
        f'echo "$said" >&2\ntest "$said" = "{NONE}"\n'
    )
    program.chmod(0o700)

    ended = subprocess.run(
        ["sh", str(tmp_path / "scripts" / SCRIPT.name)], capture_output=True, text=True, check=False
    )

    assert ended.returncode == code
    asked = (tmp_path / "asked").read_text().split()
    written = re.findall(r"^[A-Z][\w-]+", EXCEPTIONS.read_text(), re.MULTILINE)
    passed_over = [word for before, word in itertools.pairwise(asked) if before == "--ignore-vuln"]
    assert passed_over == [*written, "GHSA-aaaa-bbbb"]
    assert "requirements.lock" in asked


@pytest.mark.parametrize(("found", "ended"), [(0, 0), (1, 2), (2, 0)])
def test_a_check_fails_by_what_is_found_and_not_for_want_of_an_answer(tmp_path, found, ended):
    """`make check` audits last; that nobody has answered stands there, and is no fault of the change."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    script = tmp_path / "scripts" / SCRIPT.name
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho said >&2\nexit {found}\n")
    script.chmod(0o700)
    (tmp_path / ".installed").touch()
    for tool in set(re.findall(r"@\$\(BIN\)/([\w-]+)", (ROOT / "Makefile").read_text())):
        (tmp_path / tool).symlink_to("/bin/true")

    checked = subprocess.run(
        ["make", "check", "BIN=.", "STAMP=.installed", "--old-file=.installed"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (checked.returncode, checked.stderr.splitlines()[0]) == (ended, "said")
