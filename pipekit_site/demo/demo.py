"""The demo, from nothing to verified rows: its own PostgreSQL, a source, modules of every strategy, two rounds.

Everything is under the data directory; it can be played again and again, each time from the beginning.
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
from pipekit_site import config_yaml
from pipekit_site.demo import showing, source, verifying
from runs.lifecycle import claim, signals
from runs.lifecycle.execute import execute
from runs.models import Run
from runs.models.states import Status

_HERE = Path(__file__).parent
# what the demo proposes to try: one row of demo_items is another than the source's
BREAK = "UPDATE demo.items SET itwgt = 0 WHERE ititem = $$IT000200$$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the demo plays: the source's file, the embedded server's directory, the warehouse's URL."""

    source: Path
    server: Path
    warehouse: str


def play(console: Console) -> bool:
    """Play it; return whether source and destination agree in the end."""
    console.print("[bold]1[/] Starting PostgreSQL of its own and making an AS/400-like source ...")
    stage = _set_up()
    _configure(stage)
    rounds = []
    for number, what in enumerate(("for the first time", "again, after inserts, updates and deletes"), start=2):
        console.print(f"[bold]{number}[/] Running every module {what}")
        rounds.append((f"Moved {what}", _run_all(console)))
        if number == 2:
            source.change(stage.source)
    console.print("[bold]4[/] Comparing source and destination, row by row ...")
    agreed = _verify(console, stage)
    console.print()
    showing.closing_tables(console, rounds)
    _say_what_next(console, stage)
    return agreed and all(run.status == Status.SUCCESS for _, runs in rounds for run in runs)


def stop() -> None:
    """Stop the demo's PostgreSQL; its data stays."""
    embedded_postgresql.stop(_server_directory())


def _server_directory() -> Path:
    return Path(settings.PIPEKIT.data_dir).absolute() / "postgresql"


def _set_up() -> Stage:
    data = Path(settings.PIPEKIT.data_dir).absolute()
    server = _server_directory()
    url = embedded_postgresql.ensure_running(server, within=data)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS pipekit_demo WITH (FORCE)")
        connection.execute("CREATE DATABASE pipekit_demo")
    warehouse = urlunsplit(urlsplit(url)._replace(path="/pipekit_demo"))
    stage = Stage(source=data / "demo" / "erp.db", server=server, warehouse=warehouse)
    source.build(stage.source)
    return stage


def _configure(stage: Stage) -> None:
    text = (_HERE / "config.yaml").read_text()
    values = {
        "source": f"jdbc:sqlite:{stage.source}",
        "warehouse": stage.warehouse,
        "embedded": str(stage.server),
    }
    # a text of JSON is one of YAML, whatever the directory is called
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    config_yaml.load(text.format(**quoted), name="the demo's configuration", actor="demo")


def _run_all(console: Console) -> list[Run]:
    members = GroupMember.objects.filter(group__name="demo").order_by("run_order", "pk")
    names = list(members.values_list("module__name", flat=True))
    runs = []
    with showing.bars(console) as bar:
        for name in names:
            module = Module.objects.with_connections().get(name=name)
            with signals.as_cancel(held=True) as received:
                run = claim.claim(module, claim.Request(trigger="demo"))
                runs.append(execute(run, listen=bar(name)))
            if received:
                # the run has ended well, and the demo ends with it
                raise KeyboardInterrupt
    for run in runs:
        if run.error:
            console.print(f"[bold red]{run.module_name}[/]: {run.error['message']} {run.error['hint']}")
    return runs


def _verify(console: Console, stage: Stage) -> bool:
    agreed = True
    for comparison in verifying.COMPARISONS:
        found = verifying.compare(stage.source, stage.warehouse, comparison)
        if found.difference is None:
            console.print(f"  [green]✔[/] {found.module}: all {found.rows:,} rows{comparison.rows} the same")
        else:
            agreed = False
            here, there = found.difference
            console.print(f"  [red]✘ {found.module}: after {found.rows:,} rows source has {here}, destination {there}")
    return agreed


def _say_what_next(console: Console, stage: Stage) -> None:
    password = _login()
    port = settings.PIPEKIT.api_port
    console.print(f"Next: [bold]{showing.command('serve')}[/] (--port for another than {port})", soft_wrap=True)
    console.print(f"Then open [bold]http://127.0.0.1:{port}/admin/[/] and log in as [bold]demo[/]")
    if password:
        console.print(f"with the password [bold]{password}[/] (made for this installation, shown only now).")
    else:
        console.print("with the password that the first demo showed; another is set by")
        console.print(f"[bold]{showing.command('changepassword', 'demo')}[/]", soft_wrap=True)
    console.print()
    console.print("Or break a row of the destination, and let a verification find and mend it:")
    for words in (showing.statement(stage.warehouse, BREAK), showing.command("verifymodule", "demo_items", "--repair")):
        console.print(f"[bold]{escape(words)}[/]", soft_wrap=True, highlight=False)


def _login() -> str:
    """Make the demo's user once; return its password then, later nothing."""
    users = get_user_model()
    if users.objects.filter(username="demo").exists():
        return ""
    password = secrets.token_urlsafe(9)
    users.objects.create_superuser("demo", password=password)
    return password
