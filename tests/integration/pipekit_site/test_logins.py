"""Logging in: too many attempts are refused by user and address, and hashing leaves room for everything else."""

from __future__ import annotations

import datetime as dt
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
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import Client, RequestFactory
from pytest_django import Settings

from pipekit_site.config.config import BASE_DIR
from pipekit_site.logins import backend, throttle
from pipekit_site.management.commands import serve
from pipekit_site.models import LoginAttempt
from tests.acceptance.pipekit_site.test_start_up import environment
from tests.servers.ports import reserved_port

PAGE = "/admin/login/"
LIMIT = throttle.BY_USER_AND_ADDRESS


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_superuser("ann", password="right-pw-5521")


def log_in(client: Client, password: str, *, username: str = "ann", address: str = "192.0.2.1") -> int:
    data = {"username": username, "password": password, "next": "/admin/"}
    return client.post(PAGE, data, REMOTE_ADDR=address).status_code


def fail(client: Client, times: int, **where: str) -> None:
    for _ in range(times):
        assert log_in(client, "wrong", **where) == 200


def test_a_user_is_refused_after_some_failures_even_with_the_right_password(client: Client, ann: User) -> None:
    fail(client, LIMIT)
    answer = client.post(PAGE, {"username": "ann", "password": "right-pw-5521"}, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= throttle.WINDOW.total_seconds() + 1
    assert "Too many attempts to log in" in answer.content.decode()
    assert "Try again in 10 minutes" in answer.content.decode()
    assert "sessionid" not in client.cookies


@pytest.mark.parametrize("variant", ["ANN", " ann", "ann ", "\uff41nn"])
def test_other_spellings_of_a_name_are_the_same_user(client: Client, ann: User, variant: str) -> None:
    fail(client, LIMIT, username=variant)
    assert log_in(client, "right-pw-5521") == 429


def test_nobody_is_locked_out_from_elsewhere(client: Client, ann: User) -> None:
    fail(client, LIMIT, address="192.0.2.66")
    assert log_in(client, "wrong", address="192.0.2.66") == 429
    assert log_in(client, "right-pw-5521", address="192.0.2.1") == 302


def test_an_address_is_refused_whatever_names_it_tries(client: Client, ann: User) -> None:
    for number in range(throttle.BY_ADDRESS):
        assert log_in(client, "wrong", username=f"user{number}") == 200
    assert log_in(client, "right-pw-5521") == 429
    assert log_in(client, "right-pw-5521", address="192.0.2.2") == 302


def test_addresses_of_one_ipv6_network_are_one(client: Client, ann: User) -> None:
    for number in range(LIMIT):
        fail(client, 1, address=f"2001:db8::{number + 1}")
    assert log_in(client, "right-pw-5521", address="2001:db8::99") == 429
    assert log_in(client, "right-pw-5521", address="2001:db8:0:1::1") == 302


def test_a_refused_attempt_is_not_counted_and_the_limit_ends_by_itself(client: Client, ann: User) -> None:
    fail(client, LIMIT)
    for _ in range(3):
        assert log_in(client, "wrong") == 429
    assert LoginAttempt.objects.count() == LIMIT
    for row in LoginAttempt.objects.all():
        LoginAttempt.objects.filter(pk=row.pk).update(at=row.at - throttle.WINDOW - dt.timedelta(seconds=1))
    assert log_in(client, "right-pw-5521") == 302
    assert not LoginAttempt.objects.exists()


def test_a_success_forgets_the_failures_before(client: Client, ann: User) -> None:
    for _ in range(3):
        fail(client, LIMIT - 1)
        assert log_in(client, "right-pw-5521") == 302
        client.logout()


def test_names_that_nobody_has_are_limited_alike_and_not_kept(client: Client, ann: User) -> None:
    fail(client, LIMIT, username="my-password-by-mistake")
    assert log_in(client, "x", username="my-password-by-mistake") == 429
    assert "mistake" not in str(list(LoginAttempt.objects.values()))


def test_the_command_ends_the_wait(client: Client, ann: User, capsys: pytest.CaptureFixture[str]) -> None:
    fail(client, LIMIT)
    call_command("unlocklogins")
    assert capsys.readouterr().out == f"{LIMIT} login attempts deleted.\n"
    assert log_in(client, "right-pw-5521") == 302


def change_password(client: Client, old: str, *, new: str = "Another-pw-8842", address: str = "192.0.2.1") -> Any:
    data = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/admin/password_change/", data, REMOTE_ADDR=address)


def test_who_has_a_session_cannot_guess_the_old_password_without_limit(client: Client, ann: User) -> None:
    client.force_login(ann)
    for number in range(LIMIT):
        # from other addresses, too
        answer = change_password(client, f"guess {number}", address=f"192.0.2.{number}")
        assert answer.status_code == 200
        assert "old password was entered incorrectly" in answer.content.decode()
    answer = change_password(client, "right-pw-5521")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= throttle.WINDOW.total_seconds() + 1
    assert "Too many wrong passwords" in answer.content.decode()
    ann.refresh_from_db()
    assert ann.check_password("right-pw-5521")
    # the login is another matter
    assert log_in(Client(), "right-pw-5521") == 302


def test_a_password_is_changed_and_failures_before_are_forgotten(client: Client, ann: User) -> None:
    client.force_login(ann)
    old = "right-pw-5521"
    for number in range(3):
        for _ in range(LIMIT - 1):
            assert change_password(client, "wrong").status_code == 200
        new = f"Another-pw-{number}8842"
        assert change_password(client, old, new=new).status_code == 302
        old = new
    ann.refresh_from_db()
    assert ann.check_password(old)


def test_the_limit_of_one_user_s_old_password_is_not_another_s(client: Client, ann: User) -> None:
    bob = User.objects.create_superuser("bob", password="right-pw-7731")
    others = [User.objects.create_superuser(f"user {number}") for number in range(throttle.BY_ADDRESS // LIMIT)]
    for user in (ann, *others):
        client.force_login(user)
        for _ in range(LIMIT + 1):
            change_password(client, "wrong")
    other = Client()
    other.force_login(bob)
    assert change_password(other, "right-pw-7731").status_code == 302


def test_programs_get_json(client: Client, ann: User) -> None:
    fail(client, LIMIT)
    answer = client.post(PAGE, {"username": "ann", "password": "x"}, REMOTE_ADDR="192.0.2.1", HTTP_ACCEPT="*/json")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")


@pytest.mark.parametrize("address", ["", "203.0.113.7, forged", "not an address"])
def test_an_address_that_is_none_is_limited_like_any_other(client: Client, ann: User, address: str) -> None:
    fail(client, LIMIT, address=address)
    assert log_in(client, "right-pw-5521", address=address) == 429


def test_a_request_without_an_address_is_limited(ann: User) -> None:
    request = RequestFactory().post(PAGE)
    del request.META["REMOTE_ADDR"]
    for _ in range(LIMIT):
        assert authenticate(request, username="ann", password="wrong") is None
    with pytest.raises(throttle.TooManyAttempts):
        authenticate(request, username="ann", password="right-pw-5521")


def test_this_process_itself_is_not_limited(ann: User) -> None:
    for _ in range(LIMIT + 1):
        assert authenticate(username="ann", password="wrong") is None
    assert authenticate(username="ann", password="right-pw-5521") == ann


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_hashed_one_by_one_and_do_not_pass_together(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_superuser("ann", password="right-pw-5521")
    running, most, checked = 0, 0, 0
    lock = threading.Lock()

    def slow(self: User, password: str) -> bool:
        nonlocal running, most, checked
        with lock:
            running, checked = running + 1, checked + 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(User, "check_password", slow)

    def attempt(_: int) -> str:
        try:
            authenticate(RequestFactory().post(PAGE, REMOTE_ADDR="192.0.2.1"), username="ann", password="wrong")
        except throttle.TooManyAttempts as refused:
            return type(refused).__name__
        finally:
            connections.close_all()
        return "checked"

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(attempt, range(24)))
    assert (most, checked) == (1, LIMIT)
    assert sorted(answers) == ["TooManyAttempts"] * (24 - LIMIT) + ["checked"] * LIMIT


@pytest.mark.django_db
def test_who_would_wait_too_long_is_told_to_come_back(
    client: Client, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "WAIT_TIMEOUT", 0.05)
    with backend.hashing_queue.turn():
        answer = client.post(PAGE, {"username": "ann", "password": "x"}, REMOTE_ADDR="192.0.2.1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    # waiting is all there is to do: nothing is locked
    assert "Too many users are logging in at the moment" in answer.content.decode()
    assert "unlocklogins" not in answer.content.decode()
    assert log_in(client, "right-pw-5521") == 302


@contextmanager
def echoing() -> Iterator[str]:
    """A server started as `manage.py serve` starts it, which answers with the address that it takes a client for."""

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


def taken_for(address: str, forwarded: str) -> str:
    request = urllib.request.Request(address, headers={"X-Forwarded-For": forwarded})
    with browser().open(request, timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(
    ("tls", "variable", "taken"),
    [(False, "", "127.0.0.1"), (True, "", "203.0.113.7"), (False, "127.0.0.1", "203.0.113.7")],
)
def test_a_forwarded_address_counts_only_where_there_is_a_proxy(
    tls: bool, variable: str, taken: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PIPEKIT = replace(settings.PIPEKIT, tls=tls)
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", variable)
    if not variable:
        monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    with echoing() as address:
        # what the client itself wrote comes first; the proxy adds what it saw
        assert taken_for(address, "198.51.100.9, 203.0.113.7") == taken


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a real server with a superuser `ann` and Django's own, slow, hashing."""
    with reserved_port() as port:
        yield from running(port, tmp_path)


def running(port: int, data_dir: Path) -> Iterator[str]:
    variables = environment(data_dir, DJANGO_SUPERUSER_PASSWORD="right-pw-5521")
    make = [
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
    for command in (migrate, make):
        subprocess.run(command, cwd=BASE_DIR, env=variables, check=True, capture_output=True, timeout=120)
    words = [sys.executable, "manage.py", "serve", "--port", str(port)]
    process = subprocess.Popen(words, cwd=BASE_DIR, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=60).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(120)


def browser() -> urllib.request.OpenerDirector:
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)


def try_password(address: str, number: int, **headers: str) -> int:
    opener = browser()
    with opener.open(f"{address}{PAGE}", timeout=60) as page:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())
    assert found is not None
    data = {"csrfmiddlewaretoken": found[1], "username": f"user{number % 6}", "password": "wrong", "next": "/admin/"}
    request = urllib.request.Request(f"{address}{PAGE}", urllib.parse.urlencode(data).encode(), headers)
    try:
        with opener.open(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.serial
def test_a_real_server_answers_health_while_24_log_in_at_once(served: str) -> None:
    waits: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            began = time.monotonic()
            browser().open(f"{served}/health", timeout=60).close()
            waits.append(time.monotonic() - began)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda number: try_password(served, number), range(24)))
    over.set()
    watcher.join()
    median = sorted(waits)[len(waits) // 2]
    print(f"24 logins: {sorted(answers)}; /health at most {max(waits):.3f} s, median {median:.3f} s")
    # on a busy machine some are told to come back
    assert set(answers) <= {200, 503} and answers.count(200) >= LIMIT
    # generous: half a second on a machine at rest
    assert max(waits) < 1.5
    assert [try_password(served, 0) for _ in range(8)][-1] == 429


@pytest.mark.matrix
def test_a_forged_header_is_no_way_around_the_limit_of_a_real_server(served: str) -> None:
    answers = [try_password(served, 0, **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(LIMIT + 1)]
    assert answers == [200] * LIMIT + [429]


def test_the_settings_use_the_throttle(settings: Settings) -> None:
    assert settings.AUTHENTICATION_BACKENDS == ["pipekit_site.logins.backend.ThrottledBackend"]
