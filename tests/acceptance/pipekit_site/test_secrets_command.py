"""Tests of the command `secrets`: it reads values from stdin into the file, and prints names but never values."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from connections.models import Connection, Driver
from connections.secrets import references
from tests.processes.commands import call, run_in_new_interpreter

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def file(tmp_path: Path) -> Iterator[Path]:
    before = references.store().path
    references.configure(tmp_path / "secrets.env")
    yield tmp_path / "secrets.env"
    references.configure(before)


def warehouse(name: str = "warehouse", password: str = "$DW_PW") -> Connection:
    driver = Driver.objects.get(kind="postgresql")
    url = "jdbc:postgresql://127.0.0.1:5432/dw"
    return Connection.objects.create(name=name, driver=driver, jdbc_url=url, password=password)


def manage(*arguments: str, secrets_file: Path, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PIPEKIT_SECRETS": str(secrets_file), "LC_ALL": "C"}
    return run_in_new_interpreter(["secrets", *arguments], environment, stdin=stdin, text=False)


def check(*arguments: str) -> int:
    """Call `secrets check`, and return its exit code."""
    try:
        call_command("secrets", "check", *arguments)
    except SystemExit as exit_:
        return int(str(exit_.code))
    return 0


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("stdin", ["s€cret $x#'\" =", "s€cret $x#'\" =\n", "s€cret $x#'\" =\r\n"])
def test_set_reads_the_value_from_stdin(file: Path, stdin: str) -> None:
    result = manage("set", "DW_PW", secrets_file=file, stdin=stdin.encode())
    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr == f"DW_PW is set in {file}.\n".encode()
    assert references.store().resolve("$DW_PW") == "s€cret $x#'\" ="
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["DW_PW", "hunter2"], b"x"),
        (["DW_PW=hunter2"], b"x"),
        (["dw_pw"], b"hunter2"),
        (["DW_PW"], b""),
        (["DW_PW"], b"hunter2\xff"),
        (["DW_PW"], b"hunter2\0"),
        ([], b"hunter2"),
    ],
)
def test_wrong_arguments_set_nothing_and_the_value_is_not_repeated(
    file: Path, arguments: list[str], stdin: bytes
) -> None:
    result = manage("set", *arguments, secrets_file=file, stdin=stdin)
    assert result.returncode == 2
    assert b"hunter2" not in result.stdout + result.stderr
    assert b"Traceback" not in result.stderr
    assert not file.exists()


def test_a_value_as_an_argument_is_wrong_usage(file: Path) -> None:
    result = call("secrets", "set", "DW_PW", "hunter2")
    assert result.code == 2
    assert result.err.startswith("error: The value cannot be an argument")
    assert result.err.endswith("code:  usage\n")
    assert not file.exists()


def test_set_on_a_terminal_prompts_twice_without_echo(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["one", "one", "one", "other"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    call_command("secrets", "set", "DW_PW")
    assert references.store().resolve("$DW_PW") == "one"
    with pytest.raises(CommandError, match="values differ"):
        call_command("secrets", "set", "DW_PW")
    assert references.store().resolve("$DW_PW") == "one"


def test_list_shows_the_source_of_each_secret_and_the_connections_that_use_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENV_PW", "canary-3391")
    references.store().set("DW_PW", "canary-3392")
    references.store().set("SPARE", "canary-3393")
    for name, reference in (("b", "$DW_PW"), ("a", "$DW_PW"), ("c", "$ENV_PW"), ("d", "$NOWHERE"), ("e", "")):
        warehouse(name, reference)
    call_command("secrets", "list")
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "DW_PW: file, used by a, b",
        "ENV_PW: environment, used by c",
        "NOWHERE: not set, used by d",
        "SPARE: file, not used",
    ]
    call_command("secrets", "list", "--json")
    out = capsys.readouterr().out
    assert json.loads(out)[2] == {"name": "NOWHERE", "source": None, "connections": ["d"]}
    assert "canary" not in out


def test_check_succeeds_if_every_secret_that_is_used_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse()
    references.store().set("DW_PW", "canary-3394")
    assert check() == 0
    assert "✔ secrets: All that are used are set: $DW_PW" in capsys.readouterr().out


def test_check_fails_if_a_secret_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse()
    assert check("--json") == 1
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (report["ok"], [check["ok"] for check in report["checks"]]) == (False, [True, False])
    assert report["checks"][1]["message"].startswith("The secret DW_PW is not set. It is used by connection warehouse.")
    assert report["checks"][1]["hint"] == "manage.py secrets set DW_PW"


def test_set_without_arguments_names_only_the_missing_name() -> None:
    with pytest.raises(CommandError, match="the following arguments are required: NAME$"):
        call_command("secrets", "set")


def test_check_shows_whether_a_missing_file_matters_for_the_secrets_that_are_used(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_line() -> str:
        check()
        return capsys.readouterr().out.splitlines()[0]

    monkeypatch.delenv("DW_PW", raising=False)
    assert first_line() == f"✔ secrets file: {file} does not exist, and no connection needs it"
    warehouse()
    assert first_line() == f"✔ secrets file: {file} does not exist, and the environment does not have $DW_PW either"
    monkeypatch.setenv("DW_PW", "s3cret-of-the-test")
    assert first_line() == f"✔ secrets file: {file} does not exist; the environment has all secrets that are used"


def test_check_fails_if_others_may_read_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references.store().set("DW_PW", "x")
    file.chmod(0o644)
    assert check() == 1
    assert f"has mode 0644; others may read or change it.\n  → chmod 600 {file}" in capsys.readouterr().out


def test_check_runs_though_the_start_up_checks_stop_other_commands(file: Path) -> None:
    references.store().set("DW_PW", "canary-3395")
    file.chmod(0o666)
    result = manage("check", secrets_file=file, stdin=b"")
    assert result.returncode == 1
    assert b"has mode 0666" in result.stdout
    assert b"canary-3395" not in result.stdout + result.stderr
