"""Record anew what the program promises: `python -m tests.recorded`."""

import sys
import tempfile
from pathlib import Path

from tests.recorded.recording import DOCUMENTS, Recording, record


def main() -> None:
    """Make every document first, so that nothing is half recorded."""
    with tempfile.TemporaryDirectory() as home, Recording(Path(home)) as recording:
        made = {name: recording[name] for name in DOCUMENTS}
    for recorded in made.values():
        if recorded.broken:
            sys.exit(recorded.broken)
    for name, recorded in made.items():
        record(name, recorded.answers)


if __name__ == "__main__":
    main()
