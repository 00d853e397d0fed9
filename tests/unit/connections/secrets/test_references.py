"""The sources of a `$NAME` reference: the secrets file and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connections.sdk.errors import ConfigurationInvalid, PipekitError, SecretMissing
from connections.secrets import file as secrets_file
from connections.secrets import references
from connections.secrets.redaction import redactor
from connections.secrets.references import SecretStore
from tests.unit.connections.secrets.files import write


def test_an_empty_reference_is_an_empty_password(store: SecretStore) -> None:
    assert store.resolve("") == ""


def test_a_reference_is_resolved_from_the_file(store: SecretStore, file: Path) -> None:
    write(file, "OTHER=1\nDW_PW=s3cret\n")
    assert store.resolve("$DW_PW") == "s3cret"


def test_a_reference_that_is_not_in_the_file_is_resolved_from_the_environment(
    store: SecretStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "OTHER=1\n")
    monkeypatch.setenv("DW_PW", "from the environment")
    assert store.resolve("$DW_PW") == "from the environment"


def test_the_file_takes_precedence_over_the_environment(
    store: SecretStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "DW_PW=from the file\n")
    monkeypatch.setenv("DW_PW", "from the environment")
    assert store.resolve("$DW_PW") == "from the file"


def test_the_error_for_a_missing_secret_has_a_hint_and_the_places_searched(store: SecretStore, file: Path) -> None:
    with pytest.raises(SecretMissing) as caught:
        store.resolve("$DW_PW")
    assert caught.value.as_dict() == {
        "code": "secret_missing",
        "message": "The secret DW_PW is not set.",
        "hint": "manage.py secrets set DW_PW",
        "detail": f"Looked in: the file {file} (which does not exist); the environment variable DW_PW.",
    }


def test_the_error_for_a_missing_secret_lists_invalid_lines_of_the_file(store: SecretStore, file: Path) -> None:
    write(file, "# ours\nDW_PW: hunter2\nOTHER=x\n")
    with pytest.raises(SecretMissing) as caught:
        store.resolve("$DW_PW")
    assert "Invalid lines of the file: 2." in caught.value.detail
    assert "hunter2" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "SECRET_KEY",
        "DJANGO_SECRET_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "LD_PRELOAD",
        "PYTHONPATH",
        "PIPEKIT_DATABASE",
        "DATABASE_URL",
    ],
)
def test_variables_of_the_process_are_not_read_as_secrets(
    store: SecretStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "the process's own")
    with pytest.raises(SecretMissing) as caught:
        store.resolve(f"${name}")
    assert f"{name} belongs to the process" in caught.value.detail
    assert "the process's own" not in str(caught.value.as_dict())
    assert store.source(name) == ""


def test_variables_with_the_prefix_for_secrets_are_read(store: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_SECRET_DW", "ours")
    assert store.resolve("$PIPEKIT_SECRET_DW") == "ours"


def test_the_file_may_contain_names_that_are_not_read_from_the_environment(store: SecretStore, file: Path) -> None:
    write(file, "AWS_SECRET_ACCESS_KEY=meant\n")
    assert store.resolve("$AWS_SECRET_ACCESS_KEY") == "meant"


@given(
    text=st.one_of(
        st.text(min_size=1),
        st.builds(
            "${}{}".format, st.sampled_from(["{PATH}", "PATH ", "$PATH", "a", "1", "Ä", "PATH\n", ""]), st.text()
        ),
    )
)
def test_text_that_is_not_a_reference_is_refused_and_not_repeated_in_the_error(text: str) -> None:
    assume(not (text.startswith("$") and references.NAME.fullmatch(text[1:])))
    with pytest.raises(PipekitError) as caught:
        SecretStore().resolve(text)
    if len(text) > 12:
        assert text not in str(caught.value.as_dict())


def test_a_resolved_secret_is_redacted(store: SecretStore, file: Path) -> None:
    write(file, "DW_PW=canary-8361\n")
    store.resolve("$DW_PW")
    assert redactor().text("it is canary-8361.") == "it is ***."


def test_the_repr_of_a_store_contains_no_value(store: SecretStore, file: Path) -> None:
    write(file, "DW_PW=canary\n")
    assert "canary" not in repr(store) + repr(secrets_file.read(file))


def test_the_source_of_a_secret_is_the_file_or_the_environment(
    store: SecretStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "IN_FILE=1\n")
    monkeypatch.setenv("IN_ENV", "1")
    assert [store.source(name) for name in ("IN_FILE", "IN_ENV", "NOWHERE_AT_ALL")] == ["file", "environment", ""]


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("variable", ["PIPEKIT_SECRETS", "PIPEKIT_SECRETS_FILE"])
def test_without_settings_the_environment_names_the_file(
    file: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "DW_PW=found\n")
    monkeypatch.setenv(variable, str(file))
    assert references.store().resolve("$DW_PW") == "found"


@pytest.mark.usefixtures("unconfigured")
def test_without_a_file_secrets_are_resolved_from_the_environment_and_cannot_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DW_PW", "found")
    assert references.store().resolve("$DW_PW") == "found"
    with pytest.raises(ConfigurationInvalid, match="no secrets file"):
        references.store().set("DW_PW", "x")


@pytest.mark.usefixtures("unconfigured")
def test_the_path_in_the_settings_takes_precedence_over_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_SECRETS", "/nowhere/else")
    references.configure(file)
    assert references.store().path == file
