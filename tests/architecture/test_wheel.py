"""What is installed has all that its pages need, and asks nobody for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder


ROOT = Path(__file__).parents[2]
# Everything that pages are made of, read by those modules that serve it.
READ = """
from pathlib import Path
import app
from app.web.assets import read_assets
from app.web.rendering import _ENVIRONMENT
from app.web.runbook import read_runbook
for name in _ENVIRONMENT.list_templates():
    _ENVIRONMENT.get_template(name)
print(Path(app.__file__).parent)
print(*sorted(read_assets()), len(read_runbook()), len(_ENVIRONMENT.list_templates()))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The files of the wheel, where an installation would have them; nothing is compiled for it."""
    place = tmp_path_factory.mktemp("installed")
    builder = WheelBuilder(str(ROOT))
    files = [
        *builder.recurse_included_files(),
        *builder.recurse_forced_files(builder.config.get_force_include()),
    ]
    for file in files:
        target = place / file.distribution_path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, target)
    return place


def read(path):
    """Read what pages are made of in a process that finds the program there."""
    made = subprocess.run(
        [sys.executable, "-c", READ],
        env={"PYTHONPATH": str(path)},
        cwd=path,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, told = made.stdout.splitlines()
    return Path(folder), told


def test_the_wheel_has_what_pages_are_made_of(installed):
    """Styles, scripts, signs, templates and the runbook are those of the source."""
    folder, told = read(installed)

    assert folder == installed / "app"
    assert told == read(ROOT)[1]
    assert "tabler.min.css" in told
