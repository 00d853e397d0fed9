"""Tests of the demo: its tables fit a terminal, its commands can be pasted, and Ctrl+C ends all its processes."""

from __future__ import annotations

import ast
import io
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from pytest_django import Settings
from rich.console import Console

from pipekit_site.config.config import BASE_DIR
from pipekit_site.demo import compare, demo, display, source
from runs.models import Run
from tests.processes.install import Install


def test_the_closing_tables_fit_80_columns_without_truncated_numbers() -> None:
    run = Run(module_name="demo_recent_orders", strategy="incremental", status="success")
    run.read = run.inserted = run.updated = run.deleted = 250_000
    console = Console(width=80, file=io.StringIO())
    display.closing_tables(console, [("Run for the first time", [run])])
    assert isinstance(console.file, io.StringIO)
    output = console.file.getvalue()
    assert output.count("250,000") == 4
    assert "…" not in output
    assert max(map(len, output.splitlines())) <= 80


def test_commands_are_shown_with_a_path_that_is_valid_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "demo"])
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert display.command("serve") == f"bin/{Path(sys.executable).name} manage.py serve"
    monkeypatch.chdir(tmp_path)
    assert display.command("serve") == f"{sys.executable} manage.py serve"


def test_the_command_for_a_statement_can_be_pasted_into_a_shell() -> None:
    words = shlex.split(display.statement("postgresql://u@/d?host=/a b/c", demo.BREAK))
    assert words[1] == "-c" and len(words) == 3
    constants = [node for node in ast.walk(ast.parse(words[2])) if isinstance(node, ast.Constant)]
    assert {"postgresql://u@/d?host=/a b/c", demo.BREAK} <= {node.value for node in constants}
    # no character that has a meaning in a shell or in a quoted Python string
    assert not set("'\"\\`!") & set(demo.BREAK)


def test_without_a_demo_there_is_none_to_stop(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path)
    call_command("demo", "--stop")
    assert capsys.readouterr().out == "There is no demo in this data directory.\n"
    assert list(tmp_path.iterdir()) == []


def test_every_module_of_the_demo_has_a_comparison() -> None:
    text = (Path(demo.__file__).parent / "config.yaml").read_text()
    values = dict.fromkeys(("source", "warehouse", "embedded"), "x")
    modules = yaml.safe_load(text.format(**values))["modules"]
    assert [comparison.module for comparison in compare.COMPARISONS] == list(modules)


@pytest.mark.matrix
def test_the_demo_data_is_the_same_each_time_and_ends_before_2026(tmp_path: Path) -> None:
    latest_times = []
    for path in (tmp_path / "a.db", tmp_path / "b.db"):
        source.create(path)
        source.change(path)
        with sqlite3.connect(path) as connection:
            latest = "SELECT max(DCOUPD), max(DCODAT) FROM QCRH UNION ALL SELECT max(DDUPD), '' FROM QCRD"
            latest_times.append(connection.execute(f"{latest} UNION ALL SELECT max(STWHEN), '' FROM STKTRN").fetchall())
        connection.close()
    assert latest_times[0] == latest_times[1]
    assert max(text for row in latest_times[0] for text in row) < "2026"


@pytest.mark.matrix
def test_ctrl_c_during_a_run_ends_the_demo_and_cancels_the_run(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "demo"],
        cwd=BASE_DIR,
        env=Install(tmp_path).environment(PIPEKIT_FAULTS="transfer.started=sleep:20"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "Running all modules" in line:
                break
        log = tmp_path / "logs" / "runs" / "1.log"
        while not (log.exists() and "transfer ..." in log.read_text()):
            assert process.poll() is None
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "Traceback" not in err
        runs = Install(tmp_path).manage("runs").out
        assert "cancelled" in runs and len(runs.splitlines()) == 1
    finally:
        assert Install(tmp_path).manage("demo", "--stop").code == 0
