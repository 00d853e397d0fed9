"""The demo: what it shows fits a terminal, what it says can be pasted, and Ctrl+C ends all of it."""

from __future__ import annotations

import ast
import io
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pipekit_site.config.config import BASE_DIR
from pipekit_site.demo import compare, demo, display, source
from runs.models import Run
from tests.acceptance.pipekit_site.test_start_up import environment, manage


def test_the_closing_tables_fit_a_terminal_of_80_characters_and_cut_no_number() -> None:
    run = Run(module_name="demo_recent_orders", strategy="incremental", status="success")
    run.read = run.inserted = run.updated = run.deleted = 250_000
    console = Console(width=80, file=io.StringIO())
    display.closing_tables(console, [("Run for the first time", [run])])
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.count("250,000") == 4
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_what_to_do_next_can_be_pasted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "demo"])
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert display.command("serve") == f"bin/{Path(sys.executable).name} manage.py serve"
    monkeypatch.chdir(tmp_path)
    assert display.command("serve") == f"{sys.executable} manage.py serve"


def test_a_statement_to_try_can_be_pasted() -> None:
    words = shlex.split(display.statement("postgresql://u@/d?host=/a b/c", demo.BREAK))
    assert words[1] == "-c" and len(words) == 3
    called = [node for node in ast.walk(ast.parse(words[2])) if isinstance(node, ast.Constant)]
    assert {"postgresql://u@/d?host=/a b/c", demo.BREAK} <= {node.value for node in called}
    # nothing in it that a shell, or Python in quotes, would read otherwise
    assert not set("'\"\\`!") & set(demo.BREAK)


def test_every_module_of_the_demo_is_compared() -> None:
    text = (Path(demo.__file__).parent / "config.yaml").read_text()
    values = dict.fromkeys(("source", "warehouse", "embedded"), "x")
    modules = yaml.safe_load(text.format(**values))["modules"]
    assert [comparison.module for comparison in compare.COMPARISONS] == list(modules)


@pytest.mark.matrix
def test_no_row_of_the_demo_is_of_the_future_and_every_demo_has_the_same_rows(tmp_path: Path) -> None:
    found = []
    for path in (tmp_path / "a.db", tmp_path / "b.db"):
        source.create(path)
        source.change(path)
        with sqlite3.connect(path) as connection:
            latest = "SELECT max(DCOUPD), max(DCODAT) FROM QCRH UNION ALL SELECT max(DDUPD), '' FROM QCRD"
            found.append(connection.execute(f"{latest} UNION ALL SELECT max(STWHEN), '' FROM STKTRN").fetchall())
        connection.close()
    assert found[0] == found[1]
    assert max(text for row in found[0] for text in row) < "2026"


@pytest.mark.matrix
def test_ctrl_c_in_the_middle_of_a_run_ends_the_whole_demo_and_it_can_be_played_again(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "demo"],
        cwd=BASE_DIR,
        env=environment(tmp_path, PIPEKIT_FAULTS="transfer.started=sleep:20"),
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
        listed = manage(tmp_path, "runs").stdout
        assert "cancelled" in listed and len(listed.splitlines()) == 1
    finally:
        assert manage(tmp_path, "demo", "--stop").returncode == 0
