"""Values that SQLite stores and PostgreSQL refuses: text with NUL or surrogates, and keys longer than their column."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings

from runs.lifecycle import spool
from runs.lifecycle.dest_lock_key import dest_lock_key
from runs.lifecycle.insert import RunRequest, queue_run
from runs.models import Run
from runs.models.states import Status
from runs.models.storable import storable
from tests.factories import ConnectionFactory, ModuleFactory, RunFactory


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\0b", "a\\0b"),
        ("half \udcff of a pair", "half \\udcff of a pair"),
        ("žluťoučký 🐎\r\n", "žluťoučký 🐎\r\n"),
        ({"k\0": ["\0", 1, None]}, {"k\\0": ["\\0", 1, None]}),
        (1.5, 1.5),
        (None, None),
    ],
)
def test_characters_that_cannot_be_stored_are_escaped(value: Any, stored: Any) -> None:
    assert storable(value) == stored


@pytest.mark.django_db
def test_a_run_whose_texts_contain_nul_or_surrogates_is_recorded() -> None:
    run = RunFactory.create(status="running", pid=1)
    run.record(source_query="SELECT '\0'", watermarks={"since": {"in": "\0", "out": None}}, steps=[{"step": "x\udc80"}])
    run.finish_error({"code": "value_misfit", "message": "row 3: 'a\0b'", "hint": "", "detail": ""})
    stored = Run.objects.get()
    assert (stored.source_query, stored.watermarks["since"]["in"]) == ("SELECT '\\0'", "\\0")
    assert stored.steps == [{"step": "x\\udc80"}]
    assert stored.error is not None
    assert stored.error["message"] == "row 3: 'a\\0b'"


@pytest.mark.django_db(transaction=True)
def test_a_spooled_result_that_cannot_be_imported_does_not_block_the_others(caplog: pytest.LogCaptureFixture) -> None:
    runs = [RunFactory.create(status="running", pid=1, token=token) for token in ("1-bad", "2-torn", "3-good")]
    spool.write(runs[0], Status.SUCCESS, {"inserted": "many"})
    spool.write(runs[1], Status.SUCCESS, {}).write_text("{")
    spool.write(runs[2], Status.SUCCESS, {"inserted": 3})
    try:
        assert spool.import_files() == 1
        assert [run.status for run in Run.objects.order_by("pk")] == ["running", "running", "success"]
        # the files are kept and logged
        assert sorted(file.stem for file in _spool_files()) == ["1-bad", "2-torn"]
        assert caplog.text.count("cannot be imported") == 2
    finally:
        for file in _spool_files():
            file.unlink()


def _spool_files() -> list[Any]:
    return list((settings.PIPEKIT.data_dir / "spool").iterdir())


@pytest.mark.django_db
def test_tables_of_destinations_with_very_long_urls_have_different_lock_keys_that_fit_their_column() -> None:
    directory = f"jdbc:duckdb:/{'deep/' * 190}"
    modules = [
        ModuleFactory.create(
            dest_connection=ConnectionFactory.create(driver__kind="duckdb", jdbc_url=f"{directory}{name}.duckdb"),
            dest_table=f"{'s' * 60}.{'t' * 60}",
        )
        for name in ("a", "b")
    ]
    keys = [dest_lock_key(module) for module in modules]
    assert len(set(keys)) == 2
    assert all(len(key) <= 1000 for key in keys)
    runs = [queue_run(module, RunRequest()) for module in modules]
    assert [Run.objects.get(pk=run.pk).dest_lock_key for run in runs] == keys
    assert json.dumps(keys).count("sha256:") == 2
