"""Record anew what the program promises: `python -m tests.recorded`."""

import sys
import tempfile
from pathlib import Path

from tests.recorded.recording import DOCUMENTS, Recording, record


def main() -> None:
    """Make every document first, so that nothing is half recorded."""
    with tempfile.TemporaryDirectory() as home, Recording(Path(home)) as recording:
        made = {name: recording[name] for name in DOCUMENTS}
    for one in made.values():
        if one.broken:
            sys.exit(one.broken)
    for name, one in made.items():
        record(name, one.answers)


if __name__ == "__main__":
    main()
