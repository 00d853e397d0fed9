"""The TLS profile: what it sets, that `check --deploy` has nothing to say under it, and one sentence without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.test import Client
from pytest_django import Settings

from pipekit_site import checks
from tests.acceptance.pipekit_site.test_start_up import manage


def test_check_deploy_is_clean_under_the_profile_from_a_variable_and_from_the_file(tmp_path: Path) -> None:
    assert manage(tmp_path, "migrate", "--verbosity", "0", PIPEKIT_TLS="true").returncode == 0
    by_variable = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", PIPEKIT_TLS="true")
    (tmp_path / "config.yaml").write_text("tls: true\nallowed_hosts: [etl.example.com]\n")
    by_file = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    for done in (by_variable, by_file):
        assert done.returncode == 0, done.stderr
        assert "no issues" in done.stdout


@pytest.mark.django_db
def test_without_it_one_warning_says_what_to_do() -> None:
    found = [message for message in run_checks(include_deployment_checks=True) if not message.is_silenced()]
    assert [message.id for message in found] == ["pipekit.W003"]
    assert "tls: true" in str(found[0].hint)
    # an ordinary check, which commands begin with, says nothing
    assert "pipekit.W003" not in {message.id for message in checks.check_installation(None)}


@pytest.mark.django_db
def test_under_it_plain_http_is_redirected_and_cookies_are_secure(client: Client, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT, settings.SECURE_REDIRECT_EXEMPT = True, [r"^health$"]
    settings.SECURE_HSTS_SECONDS, settings.CSRF_COOKIE_SECURE = 31_536_000, True
    answer = client.get("/admin/login/")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://testserver/admin/login/")
    assert client.get("/health").status_code in (200, 503)
    answer = client.get("/admin/login/", headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.cookies["csrftoken"]["secure"]
