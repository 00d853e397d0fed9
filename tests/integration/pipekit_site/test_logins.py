"""Logging in: too many failures are refused by user and address, and passwords are hashed one at a time."""

from __future__ import annotations

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import Client, RequestFactory
from pytest_django import Settings

from pipekit_site.logins import backend, throttle
from pipekit_site.models import LoginAttempt

PAGE = "/admin/login/"
LIMIT = throttle.BY_USER_AND_ADDRESS


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_superuser("ann", password="right-pw-5521")


def log_in(client: Client, password: str, *, username: str = "ann", address: str = "192.0.2.1") -> int:
    data = {"username": username, "password": password, "next": "/admin/"}
    return client.post(PAGE, data, REMOTE_ADDR=address).status_code


def fail(client: Client, times: int, **options: str) -> None:
    for _ in range(times):
        assert log_in(client, "wrong", **options) == 200


def test_the_right_password_is_refused_after_too_many_failures(client: Client, ann: User) -> None:
    fail(client, LIMIT)
    response = client.post(PAGE, {"username": "ann", "password": "right-pw-5521"}, REMOTE_ADDR="192.0.2.1")
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= throttle.WINDOW.total_seconds() + 1
    assert "Too many attempts to log in" in response.content.decode()
    assert "Try again in 10 minutes" in response.content.decode()
    assert "sessionid" not in client.cookies


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("variant", ["ANN", " ann", "ann ", "\uff41nn"])
def test_spellings_of_a_username_count_as_one_user(client: Client, ann: User, variant: str) -> None:
    fail(client, LIMIT, username=variant)
    assert log_in(client, "right-pw-5521") == 429


def test_failures_from_another_address_do_not_lock_out_a_user(client: Client, ann: User) -> None:
    fail(client, LIMIT, address="192.0.2.66")
    assert log_in(client, "wrong", address="192.0.2.66") == 429
    assert log_in(client, "right-pw-5521", address="192.0.2.1") == 302


@pytest.mark.matrix
def test_an_address_is_refused_after_failures_of_many_users(client: Client, ann: User) -> None:
    for number in range(throttle.BY_ADDRESS):
        assert log_in(client, "wrong", username=f"user{number}") == 200
    assert log_in(client, "right-pw-5521") == 429
    assert log_in(client, "right-pw-5521", address="192.0.2.2") == 302


def test_addresses_of_an_ipv6_network_count_as_one(client: Client, ann: User) -> None:
    for number in range(LIMIT):
        fail(client, 1, address=f"2001:db8::{number + 1}")
    assert log_in(client, "right-pw-5521", address="2001:db8::99") == 429
    assert log_in(client, "right-pw-5521", address="2001:db8:0:1::1") == 302


def test_refused_attempts_are_not_counted_and_the_limit_expires(client: Client, ann: User) -> None:
    fail(client, LIMIT)
    for _ in range(3):
        assert log_in(client, "wrong") == 429
    assert LoginAttempt.objects.count() == LIMIT
    for row in LoginAttempt.objects.all():
        LoginAttempt.objects.filter(pk=row.pk).update(at=row.at - throttle.WINDOW - dt.timedelta(seconds=1))
    assert log_in(client, "right-pw-5521") == 302
    assert not LoginAttempt.objects.exists()


def test_a_successful_login_resets_the_failures(client: Client, ann: User) -> None:
    for _ in range(3):
        fail(client, LIMIT - 1)
        assert log_in(client, "right-pw-5521") == 302
        client.logout()


def test_unknown_usernames_are_limited_too_and_not_stored(client: Client, ann: User) -> None:
    fail(client, LIMIT, username="my-password-by-mistake")
    assert log_in(client, "x", username="my-password-by-mistake") == 429
    assert "mistake" not in str(list(LoginAttempt.objects.values()))


def test_unlocklogins_resets_the_failures(client: Client, ann: User, capsys: pytest.CaptureFixture[str]) -> None:
    fail(client, LIMIT)
    call_command("unlocklogins")
    assert capsys.readouterr().out == f"{LIMIT} login attempts deleted.\n"
    assert log_in(client, "right-pw-5521") == 302


def change_password(client: Client, old: str, *, new: str = "Another-pw-8842", address: str = "192.0.2.1") -> Any:
    data = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/admin/password_change/", data, REMOTE_ADDR=address)


def test_a_user_with_a_session_cannot_guess_the_old_password_without_limit(client: Client, ann: User) -> None:
    client.force_login(ann)
    for number in range(LIMIT):
        # each guess from another address
        response = change_password(client, f"guess {number}", address=f"192.0.2.{number}")
        assert response.status_code == 200
        assert "old password was entered incorrectly" in response.content.decode()
    response = change_password(client, "right-pw-5521")
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= throttle.WINDOW.total_seconds() + 1
    assert "Too many wrong passwords" in response.content.decode()
    ann.refresh_from_db()
    assert ann.check_password("right-pw-5521")
    # logging in is not limited by these failures
    assert log_in(Client(), "right-pw-5521") == 302


def test_changing_the_password_resets_the_failures(client: Client, ann: User) -> None:
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


@pytest.mark.matrix
def test_failures_of_other_users_do_not_limit_a_password_change(client: Client, ann: User) -> None:
    bob = User.objects.create_superuser("bob", password="right-pw-7731")
    others = [User.objects.create_superuser(f"user {number}") for number in range(throttle.BY_ADDRESS // LIMIT)]
    for user in (ann, *others):
        client.force_login(user)
        for _ in range(LIMIT + 1):
            change_password(client, "wrong")
    other = Client()
    other.force_login(bob)
    assert change_password(other, "right-pw-7731").status_code == 302


def test_a_client_that_accepts_json_gets_the_error_as_json(client: Client, ann: User) -> None:
    fail(client, LIMIT)
    response = client.post(PAGE, {"username": "ann", "password": "x"}, REMOTE_ADDR="192.0.2.1", HTTP_ACCEPT="*/json")
    assert (response.status_code, response.json()["code"]) == (429, "too_many_attempts")


@pytest.mark.parametrize("address", ["", "203.0.113.7, forged", "not an address"])
def test_an_invalid_client_address_is_limited_too(client: Client, ann: User, address: str) -> None:
    fail(client, LIMIT, address=address)
    assert log_in(client, "right-pw-5521", address=address) == 429


def test_a_request_without_a_client_address_is_limited(ann: User) -> None:
    request = RequestFactory().post(PAGE)
    del request.META["REMOTE_ADDR"]
    for _ in range(LIMIT):
        assert authenticate(request, username="ann", password="wrong") is None
    with pytest.raises(throttle.TooManyAttempts):
        authenticate(request, username="ann", password="right-pw-5521")


def test_authentication_without_a_request_is_not_limited(ann: User) -> None:
    for _ in range(LIMIT + 1):
        assert authenticate(username="ann", password="wrong") is None
    assert authenticate(username="ann", password="right-pw-5521") == ann


@pytest.mark.django_db(transaction=True)
def test_concurrent_attempts_are_hashed_one_by_one_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_superuser("ann", password="right-pw-5521")
    running, maximum, checked = 0, 0, 0
    lock = threading.Lock()

    def slow(self: User, password: str) -> bool:
        nonlocal running, maximum, checked
        with lock:
            running, checked = running + 1, checked + 1
            maximum = max(maximum, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(User, "check_password", slow)

    def attempt(_: int) -> str:
        try:
            authenticate(RequestFactory().post(PAGE, REMOTE_ADDR="192.0.2.1"), username="ann", password="wrong")
        except throttle.TooManyAttempts as error:
            return type(error).__name__
        finally:
            connections.close_all()
        return "checked"

    with ThreadPoolExecutor(24) as pool:
        results = list(pool.map(attempt, range(24)))
    assert (maximum, checked) == (1, LIMIT)
    assert sorted(results) == ["TooManyAttempts"] * (24 - LIMIT) + ["checked"] * LIMIT


@pytest.mark.django_db
def test_a_login_that_would_wait_too_long_gets_503_with_retry_after(
    client: Client, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "WAIT_TIMEOUT", 0.05)
    with backend.hashing_queue.turn():
        response = client.post(PAGE, {"username": "ann", "password": "x"}, REMOTE_ADDR="192.0.2.1")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    # no login is locked, so the page does not mention unlocklogins
    assert "Too many users are logging in at the moment" in response.content.decode()
    assert "unlocklogins" not in response.content.decode()
    assert log_in(client, "right-pw-5521") == 302


def test_the_settings_use_the_throttled_backend(settings: Settings) -> None:
    assert settings.AUTHENTICATION_BACKENDS == ["pipekit_site.logins.backend.ThrottledBackend"]
