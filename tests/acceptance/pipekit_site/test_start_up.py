"""Starting Pipekit as its users do: as a program, in a directory that is new, wrong or shared."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_site.config.config import BASE_DIR
from tests.processes.commands import run_anew
from tests.servers.ports import reserved_port

# real processes, many of them
pytestmark = pytest.mark.matrix


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPEKIT_")}
    return {**kept, "PIPEKIT_DATA_DIR": str(data_dir), **variables}


def manage(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_anew(arguments, environment(data_dir, **variables))


def test_a_wrong_configuration_is_one_clean_message_and_exit_code_2(tmp_path: Path) -> None:
    ended = manage(tmp_path, "check", PIPEKIT_API_PORT="many")
    assert ended.returncode == 2
    assert "api_port, set in PIPEKIT_API_PORT: expected a port" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = manage(tmp_path / "file" / "var", "check")
    assert ended.returncode == 2
    assert "data_dir" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_private_files_are_for_their_owner_alone_and_the_directory_can_be_passed_through(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    assert manage(data_dir, "migrate", "--verbosity", "0").returncode == 0
    assert data_dir.stat().st_mode & 0o777 == 0o711
    for name in ("pipekit.db", "secret_key"):
        assert (data_dir / name).stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    program = "import pipekit_site.settings as settings; print(settings.SECRET_KEY)"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=BASE_DIR, env=environment(tmp_path / "var"), stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    keys = {process.communicate()[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 50
    assert not list((tmp_path / "var").glob(".*"))


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


def fetch(url: str) -> tuple[int, str, str]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def wait_for(process: subprocess.Popen[str], url: str) -> tuple[int, str, str]:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            return fetch(url)
        except OSError:
            time.sleep(0.05)
    raise AssertionError(process.communicate())


def test_serve_shows_the_admin_with_its_styles_in_a_directory_that_is_new(tmp_path: Path, port: int) -> None:
    served = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--port", str(port)],
        cwd=BASE_DIR,
        env=environment(tmp_path / "var"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        status, _, page = wait_for(served, f"http://127.0.0.1:{port}/admin/login/")
        assert status == 200
        styles = re.findall(r'<link href="(/static/[^"]+\.css[^"]*)"', page)
        assert any("pipekit.css" in path for path in styles)
        for path in styles:
            assert fetch(f"http://127.0.0.1:{port}{path}")[:2] == (200, 'text/css; charset="utf-8"')
    finally:
        served.send_signal(signal.SIGINT)
        told, said = served.communicate(timeout=120)
    assert f"http://127.0.0.1:{port}/admin/" in told
    assert "migrating" in said
    assert "createsuperuser" in said
    assert "Warning" not in said


def test_serve_on_a_taken_port_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = manage(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 2
    assert "Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr
