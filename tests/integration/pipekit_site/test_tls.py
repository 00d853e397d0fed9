"""The TLS profile: the settings it makes, and the result of `check --deploy` with and without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.test import Client
from pytest_django import Settings

from pipekit_site import checks
from tests.acceptance.pipekit_site.test_start_up import manage


def test_check_deploy_has_no_warnings_with_the_profile_set_in_a_variable_or_the_file(tmp_path: Path) -> None:
    assert manage(tmp_path, "migrate", "--verbosity", "0", PIPEKIT_TLS="true").returncode == 0
    by_variable = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", PIPEKIT_TLS="true")
    (tmp_path / "config.yaml").write_text("tls: true\nallowed_hosts: [etl.example.com]\n")
    by_file = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING")
    for result in (by_variable, by_file):
        assert result.returncode == 0, result.stderr
        assert "no issues" in result.stdout


@pytest.mark.django_db
def test_without_the_profile_check_deploy_has_one_warning_with_a_hint() -> None:
    messages = [message for message in run_checks(include_deployment_checks=True) if not message.is_silenced()]
    assert [message.id for message in messages] == ["pipekit.W003"]
    assert "tls: true" in str(messages[0].hint)
    # the checks that commands run first do not warn
    assert "pipekit.W003" not in {message.id for message in checks.check_installation(None)}


@pytest.mark.django_db
def test_with_the_profile_plain_http_is_redirected_and_cookies_are_secure(client: Client, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT, settings.SECURE_REDIRECT_EXEMPT = True, [r"^health$"]
    settings.SECURE_HSTS_SECONDS, settings.CSRF_COOKIE_SECURE = 31_536_000, True
    response = client.get("/admin/login/")
    assert (response.status_code, response.headers["Location"]) == (301, "https://testserver/admin/login/")
    assert client.get("/health").status_code in (200, 503)
    response = client.get("/admin/login/", headers={"X-Forwarded-Proto": "https"})
    assert response.status_code == 200
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert response.cookies["csrftoken"]["secure"]
