"""
Record `backstay demo` as a picture of a terminal: docs/demo.svg.

    make recording

The command runs in a pseudo terminal of 80 columns, so the picture shows what people see. It is drawn
with whatever monospaced font there is: a picture in a page may load none.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text


COLUMNS, LINES = 80, 50
PROGRAM = Path(sys.executable).with_name("backstay")
PICTURE = Path(__file__).parents[1] / "docs" / "demo.svg"
# Nothing of the machine that it was recorded on; a slash inside of a word is none.
_PATH = re.compile(r"(?:^|[\s'\"=])(/[\w.-]+[^\s'\"]*)")
_THEME = TerminalTheme(
    background=(15, 23, 42),
    foreground=(226, 232, 240),
    normal=[
        (51, 65, 85),
        (248, 113, 113),
        (74, 222, 128),
        (250, 204, 21),
        (96, 165, 250),
        (192, 132, 252),
        (45, 212, 191),
        (226, 232, 240),
    ],
)
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
  <title>What `backstay demo` prints: a shop is backed up, damaged and restored, and everything holds.</title>
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
      white-space: pre;
    }}
    .{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 18px; font-weight: bold; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def main() -> None:
    """Run the command, and draw what it has printed."""
    screen = run([str(PROGRAM), "demo"])
    if found := _PATH.search(screen):
        sys.exit(f"The demo printed a path of this machine: {found[1]}")
    PICTURE.write_text(draw(screen), encoding="utf-8")


def run(command: list[str]) -> str:
    """Run a command in a terminal of its own and return what it wrote, with its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {
        "PATH": os.defpath + ":/usr/sbin",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "COLUMNS": str(COLUMNS),
    }
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    if process.returncode:
        sys.exit(f"The demo ended with {process.returncode}:\n{written.decode()}")
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """Read what is there; nothing when the other side has closed, which Linux tells by EIO."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def draw(screen: str) -> str:
    """Draw a terminal that shows a command and what it wrote."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "dim"), ("backstay demo", "bold")))
    for line in screen.rstrip().splitlines():
        console.print(Text.from_ansi(line.rstrip()), no_wrap=True, crop=False)
    console.print()  # room for what hangs below the last line
    return console.export_svg(title="backstay demo", theme=_THEME, code_format=_FORMAT)


if __name__ == "__main__":
    main()
