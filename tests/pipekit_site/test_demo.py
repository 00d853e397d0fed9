"""The demo: what it shows fits a terminal, what it says can be pasted, and Ctrl+C ends all of it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pipekit_site.config import BASE_DIR
from pipekit_site.demo import showing
from runs.models import Run
from tests.pipekit_site.test_start_up import environment, manage


def test_the_closing_tables_fit_a_terminal_of_80_characters_and_cut_no_number() -> None:
    run = Run(module_name="demo_recent_orders", strategy="incremental", status="success")
    run.read = run.inserted = run.updated = run.deleted = 250_000
    console = Console(width=80, file=io.StringIO())
    showing.closing_tables(console, [("Moved for the first time", [run])])
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.count("250,000") == 4
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_what_to_do_next_can_be_pasted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "demo"])
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert showing.command("serve") == f"bin/{Path(sys.executable).name} manage.py serve"
    monkeypatch.chdir(tmp_path)
    assert showing.command("serve") == f"{sys.executable} manage.py serve"


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
            if "Running every module" in line:
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
