"""Tests of `manage.py help`: Pipekit's commands come first, with one line each; internal commands are not listed."""

from __future__ import annotations

import pytest
from django.core.management import get_commands

from pipekit_site.cli.help import CommandLine
from pipekit_site.metadata.migrate import own_apps


def test_every_command_of_pipekit_has_one_line_before_those_of_django() -> None:
    text = CommandLine(["manage.py", "help"]).main_help_text()
    ours, _, others = text.partition("Commands of Django and libraries")
    names = [line.split()[0] for line in ours.splitlines() if line.startswith("  ")]
    expected = [name for name, app in get_commands().items() if app in own_apps() and name != "carryout"]
    assert len(expected) > 20
    assert sorted(names) == sorted([*expected, "createsuperuser", "changepassword"])
    assert all(len(line.split(None, 1)[1]) > 10 for line in ours.splitlines() if line.startswith("  "))
    assert max(map(len, text.splitlines())) <= 120
    assert "makemigrations" in others
    assert "runmodule" not in others
    assert "Pipekit starts carryout by itself" in others


def test_the_list_for_shell_completion_contains_all_commands() -> None:
    names = CommandLine(["manage.py", "help"]).main_help_text(commands_only=True).splitlines()
    assert names == sorted(get_commands())


def test_an_unknown_command_is_reported_with_a_similar_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        CommandLine(["manage.py", "runmodul"]).fetch_command("runmodul")
    assert capsys.readouterr().err == (
        "error: There is no command “runmodul”.\n"
        "fix:   Did you mean runmodule? manage.py help lists all commands.\n"
        "code:  usage\n"
    )
