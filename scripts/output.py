"""What commands print: tables for people, JSON for machines."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

_UNBOUNDED = 10_000


class _Console(Console):
    """A console that leaves a broken pipe to the command line, which ends quietly."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console() -> Console:
    """Return a console on standard output that takes text as it is.

    In a terminal cells wrap at its width. In a pipe or a file lines are as long as they need to
    be, so that none is cut.
    """
    width = None if sys.stdout.isatty() else _UNBOUNDED
    return _Console(width=width, highlight=False, markup=False, emoji=False)


def print_table(
    columns: Sequence[str] | None, rows: Iterable[Sequence[object]], title: str = ""
) -> None:
    """Print rows of cells, below the names of the columns and a title where there are any."""
    target = console()
    if title:
        target.print(title, style="bold")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=bool(columns))
    cells = [[str(cell) for cell in row] for row in rows]
    for name in columns or [""] * max(map(len, cells), default=0):
        table.add_column(name, overflow="fold")
    for row in cells:
        table.add_row(*row)
    target.print(table)


def print_json(value: Any) -> None:
    """Print a JSON document."""
    print(json.dumps(value, indent=2))
