"""A real browser on a real `manage.py serve`; a page on which anything goes wrong fails its test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.conf import settings

from tests.servers.ports import reserved_port

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_SECONDS = 60.0
PASSWORD = "correct-horse-7391"


@pytest.fixture
def serve(transactional_db: None) -> Iterator[Callable[..., str]]:
    """Start `manage.py serve` with more environment, on the database of the test; return its address."""
    processes: list[subprocess.Popen[bytes]] = []
    ports = ExitStack()

    def start(**environment: str) -> str:
        port = ports.enter_context(reserved_port())
        words = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", "--port", str(port)]
        processes.append(subprocess.Popen(words, env={**os.environ, **environment}, cwd=settings.BASE_DIR))
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/health", processes[-1])
        return address

    yield start
    for process in processes:
        process.terminate()
        process.wait(120)
    ports.close()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended"
        try:
            urllib.request.urlopen(address, timeout=60).close()
            return
        except urllib.error.HTTPError:
            # it answers; that nobody ticks is not the matter here
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for a module's tests and no longer: its event loop lives in this thread, which Django minds."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if _CHROMIUM is None:
        pytest.skip("there is no chromium on this machine: apt install chromium")
    with pytest.MonkeyPatch.context() as patch, sync_api.sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, serve: Callable[..., str]) -> Iterator[Any]:
    """A new browser window, gone before its server is; an error in its console or a foreign request fails the test."""
    window = chromium.new_context(viewport={"width": 1280, "height": 900})
    window.set_default_timeout(30_000)
    shown, wrong = window.new_page(), list[str]()
    shown.on("console", lambda message: wrong.extend([message.text] if message.type == "error" else []))
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on("request", lambda asked: wrong.extend([] if "//127.0.0.1:" in asked.url else [asked.url]))
    yield shown
    window.close()
    assert wrong == []


@pytest.fixture
def log_in(page: Any) -> Callable[[str], None]:
    """Make a user who may do everything, and log in at an address."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher
    from django.contrib.auth.models import User

    def act(address: str) -> None:
        # the server checks passwords as everywhere, not as quickly as tests do
        password = PBKDF2PasswordHasher().encode(PASSWORD, "salt-of-tests")
        User.objects.create(username="olga", password=password, is_staff=True, is_superuser=True)
        page.goto(f"{address}/")
        page.get_by_label("Username").fill("olga")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Last runs").wait_for()

    return act
