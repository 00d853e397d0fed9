"""The TLS profile: the settings it makes, and the result of `check --deploy` with and without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.checks import run_checks

from pipekit_site import system_checks
from tests.processes.install import Install


@pytest.mark.matrix
def test_check_deploy_has_no_warnings_with_the_profile_set_in_a_variable_or_the_file(tmp_path: Path) -> None:
    assert Install(tmp_path).manage("migrate", "--verbosity", "0", PIPEKIT_TLS="true").code == 0
    by_variable = Install(tmp_path).manage("check", "--deploy", "--fail-level", "WARNING", PIPEKIT_TLS="true")
    (tmp_path / "config.yaml").write_text("tls: true\nallowed_hosts: [etl.example.com]\n")
    by_file = Install(tmp_path).manage("check", "--deploy", "--fail-level", "WARNING")
    for result in (by_variable, by_file):
        assert result.code == 0, result.err
        assert "no issues" in result.out


@pytest.mark.django_db
def test_without_the_profile_check_deploy_has_one_warning_with_a_hint() -> None:
    messages = [message for message in run_checks(include_deployment_checks=True) if not message.is_silenced()]
    assert [message.id for message in messages] == ["pipekit.W003"]
    assert "tls: true" in str(messages[0].hint)
    # the checks that commands run first do not warn
    assert "pipekit.W003" not in {message.id for message in system_checks.check_installation(None)}


# prints answers to requests, of a process that has the settings of the profile
REQUESTS = """
import json
from django.test import Client
client = Client()
plain, health = client.get("/admin/login/"), client.get("/health")
secure = client.get("/admin/login/", headers={"X-Forwarded-Proto": "https", "Host": "localhost"})
print(json.dumps({
    "plain": [plain.status_code, plain.headers.get("Location")],
    "health": health.status_code in (200, 503),
    "secure": [secure.status_code, secure.headers.get("Strict-Transport-Security")],
    "cookie": bool(secure.cookies["csrftoken"]["secure"]),
}))
"""


@pytest.mark.parametrize("profile", ["true", pytest.param("false", marks=pytest.mark.matrix)])
def test_with_the_profile_plain_http_is_redirected_and_cookies_are_secure(tmp_path: Path, profile: str) -> None:
    variables = {"PIPEKIT_TLS": profile, "PIPEKIT_ALLOWED_HOSTS": "testserver"}
    assert Install(tmp_path).manage("migrate", "--verbosity", "0", **variables).code == 0
    result = Install(tmp_path).manage("shell", "--no-imports", "-c", REQUESTS, **variables)
    assert result.code == 0, result.err
    has_profile = profile == "true"
    assert json.loads(result.out) == {
        "plain": [301, "https://testserver/admin/login/"] if has_profile else [200, None],
        "health": True,
        "secure": [200, "max-age=31536000" if has_profile else None],
        "cookie": has_profile,
    }
