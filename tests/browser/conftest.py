"""Fixtures of a browser and of `manage.py serve`; a page with an error or a foreign request fails its test."""

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
    """Return a function that starts `manage.py serve` on the test's database and returns its address.

    Its arguments are added to the environment.
    """
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
    """Wait until the server answers."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended"
        try:
            urllib.request.urlopen(address, timeout=60).close()
            return
        except urllib.error.HTTPError:
            # an answer, though an unhealthy one: the scheduler is not running
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start a browser for the tests of a module; skip them if there is none.

    Not for the session: Django refuses database access from a thread with an event loop, such as playwright's.
    """
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
    """Open a page in a new browser context, which is closed before the server.

    The test fails if the console shows an error, or if anything is requested from another host.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.extend([message.text] if message.type == "error" else []))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.extend([] if "//127.0.0.1:" in request.url else [request.url]))
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def log_in(page: Any) -> Callable[[str], None]:
    """Return a function that creates a superuser and logs in at an address."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher
    from django.contrib.auth.models import User

    def log_in_at(address: str) -> None:
        # the server does not have the fast password hasher of the tests
        password = PBKDF2PasswordHasher().encode(PASSWORD, "salt-of-tests")
        User.objects.create(username="olga", password=password, is_staff=True, is_superuser=True)
        page.goto(f"{address}/")
        page.get_by_label("Username").fill("olga")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Last runs").wait_for()

    return log_in_at
