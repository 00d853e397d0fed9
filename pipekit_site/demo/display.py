"""Output of the demo: a progress bar per module, and the closing tables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from runs.engine import events
from runs.models import Run
from runs.models.states import Status

# step of a run -> how full the bar is when it has ended
_STEPS = {"resolve": 1, "stage": 2, "transfer": 3, "publish": 4, "hooks": 5}


@contextmanager
def bars(console: Console) -> Iterator[Callable[[str], Callable[[events.Event], None]]]:
    """Yield a function that adds a module's bar and returns the event handler that updates it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[what]:<34}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:

        def add_bar(module: str) -> Callable[[events.Event], None]:
            task = progress.add_task(module, total=_STEPS["hooks"], what="")

            def on_event(event: events.Event) -> None:
                match event:
                    case events.StepStarted(step) if step in ("resolve", "stage", "transfer"):
                        progress.update(task, completed=_STEPS[step] - 1, what=step)
                    case events.TransferProgress(int(rows), _) | events.Staged(rows, _):
                        progress.update(task, what=f"{rows:,} rows")
                    case events.Published():
                        progress.update(task, what=f"{event.inserted:,} new, {event.updated:,} rewritten")
                    case events.StepFinished(step, _) if step in _STEPS:
                        progress.update(task, completed=_STEPS[step])

            return on_event

        yield add_bar


def closing_tables(console: Console, rounds: list[tuple[str, list[Run]]]) -> None:
    """Print the runs of the demo, one table per round, at most 80 characters wide."""
    for title, runs in rounds:
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
        table.add_column("module", min_width=18, no_wrap=True)
        table.add_column("strategy", min_width=11, no_wrap=True)
        for name in ("read", "inserted", "updated", "deleted", "seconds", "rows/s"):
            table.add_column(name, min_width=7, justify="right", no_wrap=True)
        for run in runs:
            table.add_row(run.module_name, run.strategy, *_figures(run), style=_style(run))
        console.print(table)
        console.print()


def command(*words: str) -> str:
    """Return a Pipekit command for the user to paste, with this Python and this manage.py."""
    return shlex.join([_python(), sys.argv[0], *words])


def statement(url: str, sql: str) -> str:
    """Return a command that executes SQL on a PostgreSQL server without psql."""
    return shlex.join([_python(), "-c", f'import psycopg; psycopg.connect("{url}", autocommit=True).execute("{sql}")'])


def _python() -> str:
    python = Path(sys.executable)
    with suppress(ValueError):
        python = python.relative_to(Path.cwd())
    return str(python)


def _figures(run: Run) -> tuple[str, ...]:
    counts = (run.read, run.inserted, run.updated, run.deleted)
    seconds = run.seconds or 0.0
    speed = f"{(run.read or 0) / seconds:,.0f}" if seconds else ""
    return (*("" if count is None else f"{count:,}" for count in counts), f"{seconds:.2f}", speed)


def _style(run: Run) -> str:
    return "" if run.status == Status.SUCCESS else "bold red"
