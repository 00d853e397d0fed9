"""Tests of the command `testconnection`: stdout, the steps on stderr, the stored result and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from connections.models import Connection
from connections.sdk.parameters import ConnectionParameters
from tests.processes.commands import call
from tests.servers.cleartext import clear_text_server

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run() -> Run:
    def testconnection(*arguments: str) -> tuple[int, str, str]:
        result = call("testconnection", *arguments)
        return result.code, result.out, result.err

    return testconnection


def test_a_working_connection_exits_with_0_and_the_result_is_stored(
    run: Run, save_connection: Callable[..., Connection], database_url: str
) -> None:
    connection = save_connection(ConnectionParameters(kind="postgresql", url=database_url, name="warehouse"))
    code, out, err = run("warehouse")
    assert (code, out) == (0, "warehouse: works\n")
    assert "✔ login" in err and "✔ read" in err
    connection.refresh_from_db()
    assert connection.last_test_ok is True and connection.last_tested_at is not None


def test_a_failing_connection_exits_with_1_and_the_failed_step_is_named(
    run: Run, save_connection: Callable[..., Connection], tmp_path: Path
) -> None:
    connection = save_connection(ConnectionParameters(kind="sqlite", url=f"{tmp_path}/none.db", name="erp"))
    code, out, err = run("erp", "--json")
    data = json.loads(out)
    assert (code, data["ok"], data["error"]["code"]) == (1, False, "database_missing")
    assert data["steps"][-1]["name"] == "file"
    assert "✘ file" in err and "fix:   " in err and "code:  database_missing" in err
    connection.refresh_from_db()
    assert connection.last_test_ok is False and "none.db" in connection.last_test_message


def test_a_missing_secret_is_named_and_no_connection_is_opened(
    run: Run, save_connection: Callable[..., Connection], database_url: str
) -> None:
    parameters = ConnectionParameters(kind="postgresql", url=database_url, name="warehouse")
    save_connection(parameters, password="$NO_SUCH_SECRET_HERE")
    code, out, err = run("warehouse", "--json")
    data = json.loads(out)
    assert (code, data["error"]["code"]) == (1, "secret_missing")
    assert "error: warehouse: The secret NO_SUCH_SECRET_HERE is not set.\nfix:   manage.py secrets set NO_SUCH_" in err
    assert "the environment variable NO_SUCH_SECRET_HERE" in err
    assert [step["name"] for step in data["steps"]] == ["secret"]
    assert "NO_SUCH_SECRET_HERE" in data["error"]["message"] + data["error"]["hint"]


def test_an_unknown_name_exits_with_3_and_a_similar_name_is_suggested(
    run: Run, save_connection: Callable[..., Connection], database_url: str
) -> None:
    save_connection(ConnectionParameters(kind="postgresql", url=database_url, name="warehouse"))
    code, out, err = run("warehuose")
    assert (code, out) == (3, "")
    assert "Did you mean “warehouse”?" in err
    failure = json.loads(run("warehuose", "--json")[1])
    assert (failure["connection"], failure["ok"], failure["error"]["code"]) == ("warehuose", False, "not_found")


@pytest.mark.parametrize("flag", [(), ("--write",)])
def test_write_privileges_are_only_tested_with_the_option_write(
    run: Run, save_connection: Callable[..., Connection], database_url: str, flag: tuple[str, ...]
) -> None:
    save_connection(ConnectionParameters(kind="postgresql", url=database_url, name="warehouse"))
    code, out, _ = run("warehouse", "--json", *flag)
    assert code == 0
    assert ("write" in [step["name"] for step in json.loads(out)["steps"]]) == bool(flag)


def test_a_password_that_the_server_repeats_in_its_error_is_not_shown(
    run: Run,
    save_connection: Callable[..., Connection],
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "cAn'4ry \\ 7731"
    monkeypatch.setenv("ECHOED_PW", secret)
    with clear_text_server() as server:
        server.repeats = True
        options = {"allow_cleartext_password": True}
        parameters = ConnectionParameters(
            kind="postgresql", url=server.url, username="etl", options=options, name="echo"
        )
        connection = save_connection(parameters, password="$ECHOED_PW")
        outputs = [*run("echo")[1:], *run("echo", "--json")[1:]]
        data = {"action": "test", "_selected_action": [connection.pk], "from_page": "1"}
        outputs.append(admin_client.post("/admin/connections/connection/", data, follow=True).content.decode())
        assert server.passwords == [secret] * 3
    connection.refresh_from_db()
    outputs.append(connection.last_test_message)
    assert "authentication failed for ***" in outputs[1]
    assert [text for text in outputs if "cAn" in text or "7731" in text] == []
