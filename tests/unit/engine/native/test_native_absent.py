"""The program where the compiled module was not built."""

import subprocess
import sys


PROGRAM = """
import sys
sys.modules["app.engine.native._row_text"] = None  # as if there had been no compiler
import app.cli.commands.backup, app.engine.rows.binary, app.engine.server.server, app.services.jobs
from app.engine.native import IS_BUILT
print(IS_BUILT)
"""


def test_everything_is_there_without_the_compiled_module():
    """Whoever has no compiler installs the program, and the server formats the rows."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("False\n", "")
