"""Logging in to a server process: forwarded client addresses, and `/health` during many concurrent logins."""

from __future__ import annotations

import http.cookiejar
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pytest_django import Settings

from pipekit_site.config.config import BASE_DIR
from pipekit_site.management.commands import serve
from tests.integration.pipekit_site.test_logins import LIMIT, PAGE
from tests.processes.install import Install
from tests.servers.ports import reserved_port


@contextmanager
def address_server() -> Iterator[str]:
    """Start a server with the options of `manage.py serve` that responds with the client's address; yield its URL."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(application, lifespan="off", **serve.server_options()))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


def client_address(url: str, forwarded: str) -> str:
    request = urllib.request.Request(url, headers={"X-Forwarded-For": forwarded})
    with browser().open(request, timeout=60) as response:
        return str(response.read().decode())


@pytest.mark.parametrize(
    ("tls", "variable", "expected"),
    [(False, "", "127.0.0.1"), (True, "", "203.0.113.7"), (False, "127.0.0.1", "203.0.113.7")],
)
def test_a_forwarded_address_is_used_only_behind_a_proxy(
    tls: bool, variable: str, expected: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, tls=tls)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", variable)
    if not variable:
        monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    with address_server() as url:
        # the first address is from the client itself; the proxy appends the one it saw
        assert client_address(url, "198.51.100.9, 203.0.113.7") == expected


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The URL of a server process with a superuser `ann` and Django's default, slow password hasher."""
    with reserved_port() as port:
        yield from server_process(port, tmp_path)


def server_process(port: int, data_dir: Path) -> Iterator[str]:
    variables = Install(data_dir).environment(DJANGO_SUPERUSER_PASSWORD="right-pw-5521")
    createsuperuser = [
        sys.executable,
        "manage.py",
        "createsuperuser",
        "--noinput",
        "--username",
        "ann",
        "--email",
        "a@example.com",
    ]
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    for command in (migrate, createsuperuser):
        subprocess.run(command, cwd=BASE_DIR, env=variables, check=True, capture_output=True, timeout=120)
    arguments = [sys.executable, "manage.py", "serve", "--port", str(port)]
    process = subprocess.Popen(
        arguments, cwd=BASE_DIR, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=60).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(120)


def browser() -> urllib.request.OpenerDirector:
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)


def try_password(url: str, number: int, **headers: str) -> int:
    opener = browser()
    with opener.open(f"{url}{PAGE}", timeout=60) as page:
        match = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
    assert match is not None
    data = {"csrfmiddlewaretoken": match[1], "username": f"user{number % 6}", "password": "wrong", "next": "/admin/"}
    request = urllib.request.Request(f"{url}{PAGE}", urllib.parse.urlencode(data).encode(), headers)
    try:
        with opener.open(request, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.serial
def test_health_responds_quickly_during_24_concurrent_logins(served: str) -> None:
    waits: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            start = time.monotonic()
            browser().open(f"{served}/health", timeout=60).close()
            waits.append(time.monotonic() - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(24) as pool:
        statuses = list(pool.map(lambda number: try_password(served, number), range(24)))
    stop.set()
    watcher.join()
    median = sorted(waits)[len(waits) // 2]
    print(f"24 logins: {sorted(statuses)}; /health at most {max(waits):.3f} s, median {median:.3f} s")
    # on a busy machine some logins wait too long and get 503
    assert set(statuses) <= {200, 503} and statuses.count(200) >= LIMIT
    # it takes at most half a second on an idle machine
    assert max(waits) < 1.5
    assert [try_password(served, 0) for _ in range(8)][-1] == 429


@pytest.mark.matrix
def test_a_forged_forwarded_header_does_not_evade_the_limit(served: str) -> None:
    statuses = [try_password(served, 0, **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(LIMIT + 1)]
    assert statuses == [200] * LIMIT + [429]
