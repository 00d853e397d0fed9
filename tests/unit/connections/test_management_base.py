"""The base class of commands maps errors and results to text, JSON and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command, load_command_class

from connections.management.base import BaseCommand, CommandFailed
from connections.sdk.errors import AlreadyRunning, ConfigurationInvalid, DatabaseMissing, PipekitError, UrlInvalid


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    error_exit_codes = {DatabaseMissing: 3, ConfigurationInvalid: 2}

    def __init__(self, error: Exception | None = None, result: int = 0) -> None:
        super().__init__()
        self.error, self.result = error, result

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true")

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        return {"run": None, "error": error}

    def handle(self, **options: Any) -> None:
        if self.error:
            raise self.error
        self.write_result("done")
        self.exit_code = self.result


def run(command: Command, *arguments: str, **options: Any) -> tuple[int, str, str]:
    command._called_from_command_line = True  # type: ignore[attr-defined]
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command(command, *arguments, stdout=out, stderr=err, **options)
    except SystemExit as exit_error:
        assert isinstance(exit_error.code, int)
        code = exit_error.code
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("result", [0, 5, 130])
def test_a_command_exits_with_the_code_of_its_result(result: int) -> None:
    assert run(Command(result=result)) == (result, "done\n", "")


@pytest.mark.parametrize(
    ("error_class", "exit_code"), [(DatabaseMissing, 3), (ConfigurationInvalid, 2), (UrlInvalid, 1)]
)
def test_a_command_exits_with_the_code_of_the_class_of_its_error(
    error_class: type[PipekitError], exit_code: int
) -> None:
    code, out, err = run(Command(error_class("It failed.", hint="Change it.", detail="x")))
    assert (code, out) == (exit_code, "")
    assert err == f"error: It failed.\nfix:   Change it.\nwhy:   x\ncode:  {error_class.code}\n"


def test_a_failed_command_also_writes_its_error_as_json() -> None:
    busy = AlreadyRunning("It is running.", hint="Wait.", detail="7")
    failure = CommandFailed.of(busy, returncode=4)
    code, out, err = run(Command(failure), "--json")
    assert (code, json.loads(out)) == (4, {"run": None, "error": busy.as_dict()})
    assert err == "error: It is running.\nfix:   Wait.\ncode:  already_running\n"
    assert run(Command(failure))[1] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--nonsense",), "Unrecognized arguments: --nonsense."),
        (("--verbosity", "7"), "Argument -v/--verbosity: invalid choice: 7 (choose from 0, 1, 2, 3)."),
    ],
)
def test_arguments_that_are_not_accepted_are_errors_like_others(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "do", *arguments])
    assert ended.value.code == 2
    fix = "manage.py do --help shows what it takes."
    assert capsys.readouterr() == ("", f"error: {message}\nfix:   {fix}\ncode:  usage\n")
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "do", "--json", *arguments])
    error = {"code": "usage", "message": message, "hint": fix, "detail": ""}
    assert json.loads(capsys.readouterr().out) == {"run": None, "error": error}


def test_an_invalid_installation_is_an_error_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = checks.Error("jrunner_path is wrong.", hint="Correct it.")
    monkeypatch.setattr(checks.registry.registry, "registered_checks", {checked := lambda **options: [problem]})
    checked.tags = ["pipekit"]  # type: ignore[attr-defined]
    command = Command()
    command.requires_system_checks = ["pipekit"]
    code, out, err = run(command, "--json", skip_checks=False)
    assert (code, err) == (2, "error: jrunner_path is wrong.\nfix:   Correct it.\ncode:  configuration_invalid\n")
    assert json.loads(out)["error"]["code"] == "configuration_invalid"


def test_the_arguments_of_an_action_are_checked_alike(capsys: pytest.CaptureFixture[str]) -> None:
    command = load_command_class("pipekit_site", "secrets")
    for words, fix in (([], "manage.py secrets --help"), (["set"], "manage.py secrets set --help")):
        with pytest.raises(SystemExit) as ended:
            command.run_from_argv(["manage.py", "secrets", *words])
        error = capsys.readouterr().err
        assert (ended.value.code, f"fix:   {fix} shows" in error, "usage:" in error) == (2, True, False)


def test_a_command_called_from_python_raises_an_exception() -> None:
    with pytest.raises(CommandFailed, match="It failed") as caught:
        call_command(Command(ConfigurationInvalid("It failed.")))
    assert (caught.value.returncode, caught.value.details["code"]) == (2, "configuration_invalid")
