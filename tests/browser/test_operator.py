"""Tests of an operator's work in the admin: search, edit, run and restore modules, view and cancel runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modules import history
from modules.models import Module
from runs.models import Run
from tests.harness.bench import Bench

pytestmark = pytest.mark.matrix
HOSTILE = '<img src=x onerror="document.title=1"></script>'


@pytest.fixture
def module(bench: Bench, save_module: Callable[..., Module]) -> Module:
    bench.at_source('CREATE TABLE s ("K#" INTEGER, note TEXT)', "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    query = 'SELECT "K#" AS k, note FROM s'
    save_module("others", query, dest_table="sync.others")
    return save_module("numbers", query, merge_strategy="upsert", merge_key="k", notes=HOSTILE, owner=HOSTILE)


def open_module(page: Any, address: str, name: str) -> None:
    """Search a module in the admin's list, and open its page."""
    page.goto(f"{address}/admin/")
    page.locator("#nav-sidebar a[href$='/modules/module/']").first.click()
    search = page.get_by_placeholder("Name, destination")
    search.fill(name)
    search.press("Enter")
    page.get_by_role("link", name=name, exact=True).click()


def test_a_module_can_be_found_edited_and_run_and_its_run_viewed(
    page: Any, serve: Callable[..., str], log_in: Callable[[str], None], module: Module, bench: Bench
) -> None:
    address = serve()
    log_in(address)
    open_module(page, address, "numbers")

    page.get_by_label("Merge key").fill("K#")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_text("did you mean k?").wait_for()
    assert page.get_by_label("Merge key").input_value() == "K#"
    page.get_by_label("Merge key").fill("k")
    page.get_by_label("Watermark column").fill("k")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_text("was changed successfully").wait_for()

    # a double click starts only one run
    page.get_by_role("button", name="Run now").dblclick()
    page.locator(".pk-related", has_text="Module numbers").wait_for()
    # the page is reloaded automatically until the run has ended
    page.locator(".pk-badge", has_text="Success").wait_for()
    run = Run.objects.get()
    assert page.url == f"{address}/admin/runs/run/{run.pk}/change/"
    assert (run.status, run.actor, run.inserted) == ("success", "olga", 2)
    assert bench.rows("SELECT k FROM sync.numbers ORDER BY k") == [(1,), (2,)]
    content = page.locator("#content-main").inner_text()
    for text in ('SELECT "K#" AS k, note FROM s', "RENAME TO", "ended: success", "inserted\n2", "k: (none) → 2"):
        assert text in content
    assert page.title() != "1"


def test_a_running_run_can_be_cancelled(
    page: Any, serve: Callable[..., str], log_in: Callable[[str], None], module: Module, bench: Bench
) -> None:
    address = serve(PIPEKIT_FAULTS="transfer.started=sleep:120")
    log_in(address)
    open_module(page, address, "numbers")
    page.get_by_role("button", name="Run now").click()
    page.locator(".pk-badge", has_text="Running").wait_for()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("is being cancelled").wait_for()
    page.locator(".pk-badge", has_text="Cancelled").wait_for()
    assert bench.rows("SELECT to_regclass('sync.numbers')") == [(None,)]
    assert page.get_by_role("button", name="Run again").is_visible()


def test_a_former_version_of_a_module_can_be_restored(
    page: Any, serve: Callable[..., str], log_in: Callable[[str], None], module: Module
) -> None:
    for owner in ("Ann", "Ben"):
        with history.recorded(module, actor="importconfig"):
            module.owner = owner
            module.save()
    address = serve()
    log_in(address)
    open_module(page, address, "numbers")
    page.locator("a[href*='/history/']").first.click()
    page.get_by_role("link", name="numbers, version 1", exact=True).click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Restore this version").click()
    page.get_by_text("numbers version 1 is restored.").wait_for()
    assert page.get_by_label("Owner").input_value() == "Ann"
    assert Module.objects.get(pk=module.pk).owner == "Ann"
    assert module.history.count() == 3
