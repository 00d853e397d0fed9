"""Tests of the start-up of commands as processes: wrong configuration, new and shared data directories, `serve`."""

from __future__ import annotations

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
from tests.processes.install import Install
from tests.servers.ports import reserved_port

# each test starts several processes
pytestmark = pytest.mark.matrix


def test_a_wrong_configuration_exits_with_2_and_a_message_without_a_traceback(tmp_path: Path) -> None:
    result = Install(tmp_path).manage("check", PIPEKIT_API_PORT="many")
    assert result.code == 2
    assert "api_port, set in PIPEKIT_API_PORT: expected a port" in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_data_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = Install(tmp_path / "file" / "var").manage("check")
    assert result.code == 2
    assert "data_dir" in result.err
    assert "Traceback" not in result.err


def test_only_the_owner_may_read_private_files_and_others_may_traverse_the_data_directory(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    assert Install(data_dir).manage("migrate", "--verbosity", "0").code == 0
    assert data_dir.stat().st_mode & 0o777 == 0o711
    for name in ("pipekit.db", "secret_key"):
        assert (data_dir / name).stat().st_mode & 0o777 == 0o600


def test_processes_that_are_started_together_use_the_same_secret_key(tmp_path: Path) -> None:
    program = "import pipekit_site.settings as settings; print(settings.SECRET_KEY)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=BASE_DIR,
            env=Install(tmp_path / "var").environment(),
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    keys = {process.communicate()[0] for process in processes}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 50
    assert not list((tmp_path / "var").glob(".*"))


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


def fetch(url: str) -> tuple[int, str, str]:
    """Return status, content type and text of a response."""
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.status, response.headers["Content-Type"], response.read().decode()


def wait_for(process: subprocess.Popen[str], url: str) -> tuple[int, str, str]:
    """Fetch the URL as soon as the process serves it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            return fetch(url)
        except OSError:
            time.sleep(0.05)
    raise AssertionError(process.communicate())


def test_serve_creates_a_new_data_directory_and_shows_the_admin_with_its_styles(tmp_path: Path, port: int) -> None:
    server = Install(tmp_path / "var").start("serve", "--port", str(port))
    try:
        status, _, page = wait_for(server, f"http://127.0.0.1:{port}/admin/login/")
        assert status == 200
        styles = re.findall(r'<link href="(/static/[^"]+\.css[^"]*)"', page)
        assert any("pipekit.css" in path for path in styles)
        for path in styles:
            assert fetch(f"http://127.0.0.1:{port}{path}")[:2] == (200, 'text/css; charset="utf-8"')
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=120)
    assert f"http://127.0.0.1:{port}/admin/" in out
    assert "migrating" in err
    assert "createsuperuser" in err
    assert "Warning" not in err


def test_serve_on_a_port_in_use_exits_with_2(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        result = Install(tmp_path).manage("serve", "--port", str(listener.getsockname()[1]))
    assert result.code == 2
    assert "Address already in use" in result.err
    assert "Traceback" not in result.err
