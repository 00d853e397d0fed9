"""`manage.py secrets`: values come on stdin and go into the file; names, never values, come out."""

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
from tests.processes.commands import run_anew

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
    return run_anew(["secrets", *arguments], environment, stdin=stdin, text=False)


def checked(*arguments: str) -> int:
    try:
        call_command("secrets", "check", *arguments)
    except SystemExit as end:
        return int(str(end.code))
    return 0


@pytest.mark.parametrize("stdin", ["s€cret $x#'\" =", "s€cret $x#'\" =\n", "s€cret $x#'\" =\r\n"])
def test_a_value_comes_on_stdin(file: Path, stdin: str) -> None:
    done = manage("set", "DW_PW", secrets_file=file, stdin=stdin.encode())
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == f"DW_PW is set in {file}.\n".encode()
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
def test_what_is_wrong_sets_nothing_and_repeats_no_value(file: Path, arguments: list[str], stdin: bytes) -> None:
    done = manage("set", *arguments, secrets_file=file, stdin=stdin)
    assert done.returncode == 2
    assert b"hunter2" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    assert not file.exists()


def test_a_terminal_is_asked_twice_without_echo(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["one", "one", "one", "other"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    call_command("secrets", "set", "DW_PW")
    assert references.store().resolve("$DW_PW") == "one"
    with pytest.raises(CommandError, match="values differ"):
        call_command("secrets", "set", "DW_PW")
    assert references.store().resolve("$DW_PW") == "one"


def test_list_says_where_each_comes_from_and_who_uses_it(
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


def test_check_is_content_when_every_secret_that_is_used_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse()
    references.store().set("DW_PW", "canary-3394")
    assert checked() == 0
    assert "✔ secrets: All that are used are set: $DW_PW" in capsys.readouterr().out


def test_check_fails_when_one_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse()
    assert checked("--json") == 1
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (answer["ok"], [check["ok"] for check in answer["checks"]]) == (False, [True, False])
    assert answer["checks"][1]["message"].startswith("The secret DW_PW is not set. It is used by connection warehouse.")
    assert answer["checks"][1]["hint"] == "manage.py secrets set DW_PW"


def test_a_secret_without_a_name_is_asked_for_its_name_alone() -> None:
    with pytest.raises(CommandError, match="the following arguments are required: NAME$"):
        call_command("secrets", "set")


def test_check_says_of_a_file_that_is_not_there_what_that_means_for_the_secrets_that_are_used(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> str:
        checked()
        return capsys.readouterr().out.splitlines()[0]

    monkeypatch.delenv("DW_PW", raising=False)
    assert said() == f"✔ secrets file: {file} does not exist, and no connection needs it"
    warehouse()
    assert said() == f"✔ secrets file: {file} does not exist, and the environment does not have $DW_PW either"
    monkeypatch.setenv("DW_PW", "s3cret-of-the-test")
    assert said() == f"✔ secrets file: {file} does not exist; the environment has all secrets that are used"


def test_check_fails_when_others_may_read_the_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    references.store().set("DW_PW", "x")
    file.chmod(0o644)
    assert checked() == 1
    assert f"has mode 0644; others may read or change it.\n  → chmod 600 {file}" in capsys.readouterr().out


def test_check_runs_even_where_the_start_up_checks_would_stop_a_command(file: Path) -> None:
    references.store().set("DW_PW", "canary-3395")
    file.chmod(0o666)
    done = manage("check", secrets_file=file, stdin=b"")
    assert done.returncode == 1
    assert b"has mode 0666" in done.stdout
    assert b"canary-3395" not in done.stdout + done.stderr
