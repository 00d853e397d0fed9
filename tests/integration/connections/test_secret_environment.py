"""Environment variables that are secrets: all but Pipekit's own and other programs' tokens, or only listed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse

from connections.sdk.errors import SecretMissing
from connections.secrets import references
from connections.secrets.references import SecretStore
from pipekit_site.config import config
from runs.models import Setting
from tests.factories import settings_form

TOKENS = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HF_TOKEN",
    "NPM_TOKEN",
    "SLACK_BOT_TOKEN",
    "SOME_ACCESS_TOKEN",
    "SOME_API_KEY",
    "SOMEAPP_SECRET_KEY",
    "TOKEN",
    "PIPEKIT_SECRET_ENVIRONMENT",
]


@pytest.mark.parametrize("name", TOKENS)
def test_tokens_of_other_programs_are_not_secrets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "canary-7731")
    with pytest.raises(SecretMissing) as refused:
        SecretStore().resolve(f"${name}")
    assert "canary-7731" not in str(refused.value.as_dict())
    assert SecretStore().source(name) == ""


@pytest.mark.parametrize(
    "name", ["DB2PW", "DW_PW", "DW_PASSWORD", "HOOK_SECRET", "HOOK_URL", "PGPASSWORD", "PIPEKIT_SECRET_API_KEY", "KEY1"]
)
def test_other_variables_are_secrets_by_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "meant")
    assert SecretStore().resolve(f"${name}") == "meant"


def test_only_listed_variables_are_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DB2PW", "DW_PW", "SOME_API_KEY", "PATH"):
        monkeypatch.setenv(name, "meant")
    store = SecretStore(environment=frozenset({"DB2PW", "SOME_API_KEY", "PATH"}))
    assert [store.source(name) for name in ("DB2PW", "SOME_API_KEY", "DW_PW", "PATH")] == ["environment"] * 2 + [""] * 2
    with pytest.raises(SecretMissing) as refused:
        store.resolve("$DW_PW")
    assert "The environment's DW_PW is not in secret_environment" in refused.value.detail
    assert SecretStore(environment=frozenset()).source("DB2PW") == ""


def test_a_secret_in_the_file_may_have_any_name(tmp_path: Path) -> None:
    store = SecretStore(path=tmp_path / "secrets.env", environment=frozenset())
    store.set("SOME_API_KEY", "meant")
    assert store.resolve("$SOME_API_KEY") == "meant"


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in config.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIPEKIT_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), ("[DB2PW, DW_PW]", ("DB2PW", "DW_PW")), ("DB2PW", ("DB2PW",)), ("[]", ())]
)
def test_the_variables_are_listed_in_config_yaml(data_dir: Path, text: str, expected: tuple[str, ...] | None) -> None:
    (data_dir / "config.yaml").write_text(f"secret_environment: {text}\n" if text else "")
    assert config.load().secret_environment == expected


def test_the_variables_are_listed_in_an_environment_variable(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_SECRET_ENVIRONMENT", "DB2PW, DW_PW")
    assert config.load().secret_environment == ("DB2PW", "DW_PW")
    monkeypatch.setenv("PIPEKIT_SECRET_ENVIRONMENT", "db2pw")
    with pytest.raises(ImproperlyConfigured, match="secret_environment, set in PIPEKIT_SECRET_ENVIRONMENT"):
        config.load()


def test_configure_sets_the_variables_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = references.store()
    monkeypatch.setenv("DW_PW", "x")
    try:
        references.configure(tmp_path / "secrets.env", environment=["DB2PW"])
        assert references.store().source("DW_PW") == ""
    finally:
        references.configure(before.path, environment=before.environment)


@pytest.mark.django_db
def test_a_reference_in_a_setting_requires_the_permission_to_use_secrets(client: Client) -> None:
    user = User.objects.create_user("ed", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_setting", "change_setting", "view_setting"]))
    client.force_login(user)
    page = reverse("admin:runs_setting_change", args=[1])
    data = settings_form(webhook_secret="$DW_PW")
    assert "takes the permission" in client.post(page, data).content.decode()
    assert not Setting.objects.exists()
    user.user_permissions.add(Permission.objects.get(codename="use_secret"))
    assert client.post(page, data).status_code == 302
