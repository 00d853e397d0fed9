"""One run at a time writes a destination table, however its connection and its name are spelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connections.sdk.errors import AlreadyRunning
from connections.sdk.schema import TableName
from runs.lifecycle.build_plan import build_plan
from runs.lifecycle.insert import RunRequest, insert_run, queue_run, start_run
from runs.models import Run
from tests.factories import ConnectionFactory, ModuleFactory, RunFactory, WarehouseFactory
from tests.processes.commands import call

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("url", ["jdbc:postgresql://127.0.0.1/dw", "postgresql://LOCALHOST.:5432/dw"])
def test_a_module_is_refused_while_another_writes_its_table_by_an_address_spelled_differently(url: str) -> None:
    first = ModuleFactory.create(name="first", dest_table="public.orders")
    other = WarehouseFactory.create(jdbc_url=url)
    second = ModuleFactory.create(name="second", dest_connection=other, dest_table="orders")
    insert_run(first, RunRequest())
    with pytest.raises(AlreadyRunning, match="of first is running and writes the same table"):
        queue_run(second, RunRequest())


def test_a_module_is_refused_while_another_writes_its_file_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "dw.db")
    first, second = (
        ModuleFactory.create(
            dest_connection=ConnectionFactory.create(jdbc_url=f"jdbc:sqlite:{tmp_path}/{file}"), dest_table=table
        )
        for file, table in (("dw.db", "main.orders"), ("link.db", "Orders"))
    )
    insert_run(first, RunRequest())
    with pytest.raises(AlreadyRunning, match="writes the same table"):
        queue_run(second, RunRequest())


def test_a_queued_run_whose_module_was_given_another_table_locks_that_one_when_it_starts() -> None:
    first = ModuleFactory.create(name="first", dest_table="sync.old")
    run = queue_run(first, RunRequest())
    type(first).objects.filter(pk=first.pk).update(dest_table="sync.new")
    second = ModuleFactory.create(name="second", dest_connection=first.dest_connection, dest_table="sync.new")
    other = insert_run(second, RunRequest())
    assert call("carryout", "--run", str(run.pk)).code == 1
    run.refresh_from_db()
    assert run.error is not None
    assert (run.status, run.error["code"]) == ("error", "already_running")
    assert f"run {other.pk} of second is running and writes the same table" in run.error["message"]


def test_a_queued_run_whose_module_was_given_another_table_no_longer_locks_the_old_one() -> None:
    first = ModuleFactory.create(name="first", dest_table="sync.old")
    run = queue_run(first, RunRequest())
    type(first).objects.filter(pk=first.pk).update(dest_table="sync.new")
    start_run(Run.objects.get(pk=run.pk))
    second = ModuleFactory.create(name="second", dest_connection=first.dest_connection, dest_table="sync.old")
    assert insert_run(second, RunRequest()).status == "running"


APP = "jdbc:postgresql://127.0.0.1:5432/dw?currentSchema=app"


@pytest.mark.parametrize(
    ("url", "options", "table", "key", "former"),
    [
        # as version 43a2c86 stored it, and as it is stored now
        (APP, {}, "orders", "postgresql:127.0.0.1:5432/dw:public.orders", "public.orders"),
        (APP, {}, "orders", "postgresql:localhost:5432/dw:public.orders", "public.orders"),
        # runs that have filled the table of the schema
        (APP, {}, "orders", "postgresql:localhost:5432/dw:app.orders", None),
        # another table, or another database
        (APP, {}, "orders", "postgresql:localhost:5432/dw:public.other", None),
        (APP, {}, "orders", "postgresql:localhost:5432/old:public.orders", None),
        # the schema is named, or set by a session setting, which has always applied
        (APP, {}, "app.orders", "postgresql:127.0.0.1:5432/dw:public.orders", None),
        (APP, {"session": {"search_path": "app"}}, "orders", "postgresql:127.0.0.1:5432/dw:public.orders", None),
        (APP.split("?")[0], {}, "orders", "postgresql:127.0.0.1:5432/dw:public.orders", None),
        (f"{APP.split('?')[0]}?currentSchema=public", {}, "orders", "postgresql:127.0.0.1:5432/dw:public.orders", None),
    ],
)
def test_the_table_that_earlier_runs_filled_is_known_by_the_key_of_the_last_success(
    monkeypatch: pytest.MonkeyPatch, url: str, options: dict[str, Any], table: str, key: str, former: str | None
) -> None:
    monkeypatch.setenv("DW_PW", "x")
    warehouse = WarehouseFactory.create(jdbc_url=url, options=options)
    module = ModuleFactory.create(dest_connection=warehouse, dest_table=table)
    RunFactory.create(module=module, status="success", dest_lock_key=key)
    RunFactory.create(module=module, status="success", dest_lock_key="", dry_run=True)
    RunFactory.create(module=module, status="error", dest_lock_key="postgresql:localhost:5432/dw:app.orders")
    plan = build_plan(module)
    assert plan.former_table == (TableName.parse(former) if former else None)


def test_a_module_without_a_successful_run_has_filled_no_other_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DW_PW", "x")
    module = ModuleFactory.create(dest_connection=WarehouseFactory.create(jdbc_url=APP), dest_table="orders")
    assert build_plan(module).former_table is None
