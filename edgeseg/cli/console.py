"""What every verb prints: progress and messages on stderr, answers on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sized
from typing import Any, TypeVar

from edgeseg.cli import interrupts

T = TypeVar("T")


def error_line(message: str) -> None:
    """Print an error on stderr."""
    print(f"edgeseg: {message}", file=sys.stderr, flush=True)


def note(message: str) -> None:
    """Print a remark on stderr, where it does not mix with an answer that a script reads."""
    print(message, file=sys.stderr, flush=True)


def answer_json(value: Any) -> None:
    """Print the verb's answer on stdout as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    """Show a bar with the time left while `items` are worked through; silent when stderr is not a terminal.

    Every item is also where a Ctrl-C that Python dropped is heard after all.
    """
    if not sys.stderr.isatty():
        yield from _interruptible(items)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if total is None and isinstance(items, Sized):
        total = len(items)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(_interruptible(items), total=total, description=label)


def _interruptible(items: Iterable[T]) -> Iterable[T]:
    for item in items:
        interrupts.check()
        yield item


def table(title: str, headers: list[str], rows: list[list[str]], *, sentences: bool = False) -> None:
    """Print a table on stdout; the first column is text, the others are numbers.

    With `sentences` the last one holds some, which take the lines they need, so that no number is cut.
    """
    from rich.console import Console
    from rich.table import Table

    view = Table(title=title, title_justify="left")
    for number, header in enumerate(headers):
        wrapped = sentences and number == len(headers) - 1
        view.add_column(header, justify="left" if wrapped or number == 0 else "right", no_wrap=not wrapped)
    for row in rows:
        view.add_row(*row)
    # A pipe has no width of its own: give it room, so that no number is cut.
    # Names of classes and files are nobody's markup.
    Console(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False).print(view)


def percent(value: float) -> str:
    """Return a share as hundredths, a dash where there is nothing to measure."""
    return "–" if value != value else f"{100 * value:.2f}"
