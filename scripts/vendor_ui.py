"""
Fetch what the pages are made of from npm, and keep it in the repository; for developers only.

Usage: vendor_ui.py, after a change of a version below; it needs the program npm.
"""

import hashlib
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final


ROOT: Final = Path(__file__).parents[1]
ASSETS: Final = ROOT / "app/web/assets"
# What looks for barriers in the pages; for tests only.
OF_TESTS: Final = ROOT / "tests/fixtures/assets"
# Package, where it goes, its licence, and what is taken of it.
PACKAGES: Final = (
    ("htmx.org@4.0.1", ASSETS, "LICENSE", ("dist/htmx.min.js", "dist/ext/hx-sse.min.js")),
    ("@tabler/core@1.6.1", ASSETS, "", ("dist/css/tabler.min.css",)),
    ("axe-core@4.14.1", OF_TESTS, "LICENSE", ("axe.min.js",)),
)
# Its package says MIT, and has no text of it.
TABLER_LICENCE: Final = """\
MIT License

Copyright 2018-2026 The Tabler Authors
Copyright 2018-2026 codecalm.net Pawel Kuna

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
# Names a file that is not there.
_SOURCE_MAP: Final = re.compile(rb"\n?/[*/]# sourceMappingURL=\S+( \*/)?\s*$")


def main() -> None:
    """Fetch all packages, write what is taken of them, and their sums."""
    with tempfile.TemporaryDirectory() as directory:
        for package, target, licence, files in PACKAGES:
            target.mkdir(exist_ok=True)
            take(package, target, licence, files, Path(directory))
    (ASSETS / "tabler.LICENSE").write_text(TABLER_LICENCE, encoding="utf-8")
    sums = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in sorted(ASSETS.glob("*.min.*"))
    ]
    (ASSETS / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")


def take(package: str, target: Path, licence: str, files: tuple[str, ...], directory: Path) -> None:
    """Fetch one package and write what is taken of it."""
    command = ["npm", "pack", "--silent", package]  # the PATH of whoever runs it
    name = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout
    with tarfile.open(directory / name.strip()) as archive:
        for file in files:
            body = _SOURCE_MAP.sub(b"", read(archive, file))
            (target / Path(file).name).write_bytes(body)
        if licence:
            stem = package.partition("@")[0].partition(".")[0]
            (target / f"{stem}.LICENSE").write_bytes(read(archive, licence))


def read(archive: tarfile.TarFile, file: str) -> bytes:
    """Read one file of a package."""
    found = archive.extractfile(f"package/{file}")
    if found is None:
        raise FileNotFoundError(file)
    return found.read()


if __name__ == "__main__":
    main()
