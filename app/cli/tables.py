"""Tables for people, as wide as the terminal; where they would be wider, one block for each row."""

import itertools
import textwrap
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.output import print_line, printable


# A column of words is folded to this, not below: it would be read letter by letter.
_LEAST_WIDTH: Final = 10
_UNBOUNDED: Final = 1 << 16


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
    grid = _grid(headings, cells, right=right)
    console = Console(highlight=False, markup=False)
    needed = console.measure(grid, options=console.options.update(width=_UNBOUNDED))
    if not console.is_terminal:
        Console(highlight=False, markup=False, width=needed.maximum).print(grid)
    elif needed.minimum <= console.width:
        console.print(grid)
    else:
        _print_blocks(headings, cells, console.width)


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: int) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="")
    for number, heading in enumerate(headings):
        numeric = number >= len(headings) - right
        column = [heading, *(row[number] for row in rows)]
        width = max(cell_len(line) for cell in column for line in cell.split("\n"))
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
