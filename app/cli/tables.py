"""Tables for people."""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.output import printable


# Wide enough for a whole line when nobody looks, so that pipes see no wrapped text.
_PIPE_WIDTH: Final = 240


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0) -> None:
    """
    Print a table.

    Args:
        headings: One a column.
        rows: Texts, as many in each as headings.
        right: How many of the last columns hold numbers.
    """
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        numeric = number >= len(headings) - right
        grid.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PIPE_WIDTH)
    console.print(grid)
