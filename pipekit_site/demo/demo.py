"""The demo: its own PostgreSQL, a source, modules of every strategy, run twice, and a comparison of the rows.

All its files are in the data directory. It can be repeated, and begins with empty databases each time.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from django.conf import settings
from django.contrib.auth import get_user_model
from rich.console import Console
from rich.markup import escape

from connections import embedded_postgresql
from modules.models import GroupMember, Module
from pipekit_site import import_export
from pipekit_site.demo import compare, display, source
from runs.lifecycle import signals
from runs.lifecycle.execute import execute_run
from runs.lifecycle.insert import RunRequest, insert_run
from runs.models import Run
from runs.models.execution import StartedBy
from runs.models.states import Status

_HERE = Path(__file__).parent
# proposed to the user: makes one row of demo_items differ from the source
BREAK = "UPDATE demo.items SET itwgt = 0 WHERE ititem = $$IT000200$$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Systems:
    """The source's file, the embedded server's directory and the warehouse's URL."""

    source: Path
    server: Path
    warehouse: str


def run_demo(console: Console) -> bool:
    """Run the demo; return whether all runs succeeded and source and destination are equal."""
    console.print("[bold]1[/] Starting an embedded PostgreSQL and creating an AS/400-like source ...")
    systems = _set_up()
    _configure(systems)
    rounds = []
    for number, what in enumerate(("for the first time", "again, after inserts, updates and deletes"), start=2):
        console.print(f"[bold]{number}[/] Running all modules {what}")
        rounds.append((f"Run {what}", _run_all(console)))
        if number == 2:
            source.change(systems.source)
    console.print("[bold]4[/] Comparing source and destination, row by row ...")
    equal = _compare(console, systems)
    console.print()
    display.closing_tables(console, rounds)
    _print_next_steps(console, systems)
    return equal and all(run.status == Status.SUCCESS for _, runs in rounds for run in runs)


def stop() -> bool:
    """Stop the demo's PostgreSQL; return whether there is one. Its data is kept."""
    return embedded_postgresql.stop(_server_directory())


def _server_directory() -> Path:
    return Path(settings.PIPEKIT.data_dir).absolute() / "postgresql"


def _set_up() -> Systems:
    data = Path(settings.PIPEKIT.data_dir).absolute()
    server = _server_directory()
    url = embedded_postgresql.ensure_running(server, within=data)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS pipekit_demo WITH (FORCE)")
        connection.execute("CREATE DATABASE pipekit_demo")
    warehouse = urlunsplit(urlsplit(url)._replace(path="/pipekit_demo"))
    systems = Systems(source=data / "demo" / "erp.db", server=server, warehouse=warehouse)
    source.create(systems.source)
    return systems


def _configure(systems: Systems) -> None:
    text = (_HERE / "config.yaml").read_text()
    values = {
        "source": f"jdbc:sqlite:{systems.source}",
        "warehouse": systems.warehouse,
        "embedded": str(systems.server),
    }
    # a JSON string is also a YAML string, whatever characters the directory's name has
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    import_export.load(text.format(**quoted), name="the demo's configuration", actor="demo")


def _run_all(console: Console) -> list[Run]:
    members = GroupMember.objects.filter(group__name="demo").order_by("run_order", "pk")
    names = list(members.values_list("module__name", flat=True))
    runs = []
    with display.bars(console) as bar:
        for name in names:
            module = Module.objects.with_connections().get(name=name)
            with signals.as_interrupt(deferred=True) as received:
                run = insert_run(module, RunRequest(trigger=StartedBy.DEMO))
                runs.append(execute_run(run, on_event=bar(name)))
            if received:
                # the run has ended well, and the demo ends with it
                raise KeyboardInterrupt
    for run in runs:
        if run.error:
            console.print(f"[bold red]{run.module_name}[/]: {run.error['message']} {run.error['hint']}")
    return runs


def _compare(console: Console, systems: Systems) -> bool:
    equal = True
    for comparison in compare.COMPARISONS:
        result = compare.compare_sides(systems.source, systems.warehouse, comparison)
        if result.difference is None:
            console.print(f"  [green]✔[/] {result.module}: all {result.rows:,} rows{comparison.rows} are equal")
        else:
            equal = False
            left, right = result.difference
            console.print(
                f"  [red]✘ {result.module}: after {result.rows:,} rows source has {left}, destination {right}"
            )
    return equal


def _print_next_steps(console: Console, systems: Systems) -> None:
    password = _create_user()
    port = settings.PIPEKIT.api_port
    console.print(f"Next: [bold]{display.command('serve')}[/] (--port for another port than {port})", soft_wrap=True)
    console.print(f"Then open [bold]http://127.0.0.1:{port}/admin/[/] and log in as [bold]demo[/]")
    if password:
        console.print(f"with the password [bold]{password}[/] (generated, and not shown again).")
    else:
        console.print("with the password that the first demo showed; to change it:")
        console.print(f"[bold]{display.command('changepassword', 'demo')}[/]", soft_wrap=True)
    console.print()
    console.print("Or change a row of the destination, and let a verification find and repair it:")
    for line in (
        display.statement(systems.warehouse, BREAK),
        display.command("verifymodule", "demo_items", "--repair"),
    ):
        console.print(f"[bold]{escape(line)}[/]", soft_wrap=True, highlight=False)


def _create_user() -> str:
    """Create the demo's user and return its password, or an empty string if the user exists."""
    users = get_user_model()
    if users.objects.filter(username="demo").exists():
        return ""
    password = secrets.token_urlsafe(9)
    users.objects.create_superuser("demo", password=password)
    return password
