"""Tables for people, as wide as the terminal; where they would be wider, one block for each row."""

# ruff: noqa: PLC0415 - rich is imported for terminals: whoever reads a pipe need not wait for it
import itertools
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from app.cli.output import print_line, printable


if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# A column of words is folded to this, not below: it would be read letter by letter.
_LEAST_WIDTH: Final = 10
# Columns of words that would need this many times the room there is beside the others become blocks.
_MOST_FOLDED: Final = 2.5
_UNBOUNDED: Final = 1 << 16
# Between two columns, and as much at both ends together.
_GAP: Final = 2


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0) -> None:
    """
    Print a table.

    Names and numbers stay whole, so that they can be copied: only the columns between them are folded.
    When that is not enough, each row becomes a block of lines. Nothing is folded in a pipe.

    Args:
        headings: One a column; the first is of names, which no other row has.
        rows: Texts, as many in each as headings; a cell may have several lines.
        right: How many of the last columns hold numbers.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [_width_of(column) for column in zip(headings, *cells, strict=True)]
    console = _terminal()
    if console is None or sum(widths) + _GAP * len(widths) <= console.width:
        _print_whole((headings, *cells), widths, right=right)
        return
    grid = _grid(headings, cells, widths, right=right)
    needed = console.measure(grid, options=console.options.update(width=_UNBOUNDED))
    if needed.minimum <= console.width and not _is_crowded(widths, console.width, right=right):
        console.print(grid)
    else:
        _print_blocks(headings, cells, console.width)


def _is_crowded(widths: Sequence[int], width: int, *, right: int) -> bool:
    """Tell whether what may be folded has so little room beside what stays whole that nobody would read it."""
    folded = sum(widths[1 : len(widths) - right])
    room = width - (sum(widths) - folded) - _GAP * len(widths)
    return folded > _MOST_FOLDED * max(room, 1)


def _terminal() -> "Console | None":
    """Return the terminal that is printed on; None for a pipe or a file."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console(highlight=False, markup=False)


def _width_of(column: Iterable[str]) -> int:
    return max(cell_len(line) for cell in column for line in cell.split("\n"))


def _print_whole(rows: Sequence[Sequence[str]], widths: Sequence[int], *, right: int) -> None:
    """Print what need not be folded as the grid would be: that takes a tenth of the time."""
    rule = " " + "─" * (sum(widths) + _GAP * (len(widths) - 1)) + " "
    lines = [line for row in rows for line in _lines_of(row, widths, right=right)]
    blank = " " * len(rule)
    print_line("\n".join([blank, lines[0], rule, *lines[1:], blank]))


def _lines_of(row: Sequence[str], widths: Sequence[int], *, right: int) -> Iterator[str]:
    cells = [cell.split("\n") for cell in row]
    for parts in itertools.zip_longest(*cells, fillvalue=""):
        padded = [
            " " * (width - cell_len(part)) + part
            if number >= len(row) - right
            else part + " " * (width - cell_len(part))
            for number, (part, width) in enumerate(zip(parts, widths, strict=True))
        ]
        yield f" {(' ' * _GAP).join(padded)} "


def _grid(
    headings: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], *, right: int
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="")
    for number, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        numeric = number >= len(headings) - right
        is_whole = numeric or not number
        grid.add_column(
            heading,
            justify="right" if numeric else "left",
            overflow="fold",
            # Or others would be folded less, since this one seems to give way.
            no_wrap=is_whole,
            min_width=width if is_whole else min(width, _LEAST_WIDTH),
        )
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid


def _print_blocks(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    indent = max(map(cell_len, headings)) + 4
    for row in rows:
        print_line("")
        print_line(row[0])
        for heading, cell in itertools.islice(zip(headings, row, strict=True), 1, None):
            text = f"{f'  {heading}:':<{indent}}{', '.join(cell.split(chr(10)))}"
            if cell:
                print_line(
                    textwrap.fill(
                        text,
                        max(width, indent + _LEAST_WIDTH),
                        subsequent_indent=" " * indent,
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                )
    print_line("")
