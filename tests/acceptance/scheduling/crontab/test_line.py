"""The crontab line of `installcron`: quoting, environment variables, and its effect when cron executes it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from pipekit_site.config import config
from scheduling.models import Tick
from scheduling.tick import tick
from tests.acceptance.scheduling.crontab.program import Program, install, own_lines


def test_paths_with_spaces_and_quotes_are_quoted(
    program: Program, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "it's a dir"
    directory.mkdir()
    script = directory / "manage.py"
    script.write_text("import os, sys\nprint(sys.argv[1:3], os.environ['PIPEKIT_CONFIG'])\n")
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    monkeypatch.setenv("PIPEKIT_CONFIG", "x")
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=directory, config_file=directory / "c.yaml")
    (directory / "logs").mkdir()
    install()
    run_as_cron(own_lines(program, settings)[0])
    assert (directory / "logs" / "tick.log").read_text() == f"['crontab', 'run'] {directory}/c.yaml\n"


def test_file_roots_also_apply_to_scheduled_runs(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FILE_ROOTS", "data,/srv/x")
    settings.PIPEKIT = replace(settings.PIPEKIT, file_roots=(Path("/var/data"), Path("/srv/x")))
    install()
    assert b"PIPEKIT_FILE_ROOTS=/var/data,/srv/x " in own_lines(program, settings)[0]


# a value for every variable, different from the default
VARIABLES = {
    "PIPEKIT_ALLOWED_HOSTS": "pk.example",
    "PIPEKIT_API_PORT": "8200",
    "PIPEKIT_CONFIG": "c.yaml",
    "PIPEKIT_DATABASE": "other.db",
    "PIPEKIT_DATA_DIR": "var/x",
    "PIPEKIT_DEBUG": "true",
    "PIPEKIT_DRIVER_DIR": "jars",
    "PIPEKIT_FILE_ROOTS": "data,/srv/x",
    "PIPEKIT_JRUNNER_PATH": "bin/jrunner",
    "PIPEKIT_SECRETS": "/run/secrets.env",
    "PIPEKIT_SECRETS_FILE": "/run/secrets.env",
    "PIPEKIT_SECRET_ENVIRONMENT": "DW_PW",
    "PIPEKIT_SMTP_FROM": "pk@pk.example",
    "PIPEKIT_SMTP_HOST": "pk.example",
    "PIPEKIT_SMTP_PORT": "2525",
    "PIPEKIT_SMTP_TO": "a@pk.example,b@pk.example",
    "PIPEKIT_TLS": "true",
    "PIPEKIT_WEBHOOK_PRIVATE": "true",
}


@pytest.mark.parametrize("changed", [{}, {"PIPEKIT_SECRET_ENVIRONMENT": "", "PIPEKIT_JRUNNER_PATH": ""}])
def test_every_variable_of_the_configuration_applies_to_scheduled_runs(
    program: Program,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
) -> None:
    assert tuple(VARIABLES) == config.VARIABLES
    # the line is limited to 990 bytes
    directory = tmp_path_factory.mktemp("c")
    (directory / "c.yaml").touch()
    for name, value in (VARIABLES | {"PIPEKIT_CONFIG": f"{directory}/c.yaml"} | changed).items():
        monkeypatch.setenv(name, value)
    settings.PIPEKIT = replace(config.load(), data_dir=directory)
    install()
    (line,) = own_lines(program, settings)
    words = dict(word.split("=", 1) for word in shlex.split(line.decode()) if re.match(r"[A-Z_]+=", word))
    for name in VARIABLES:
        monkeypatch.delenv(name)
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    assert config.load() == settings.PIPEKIT


def run_as_cron(line: bytes) -> None:
    """Execute the command of a crontab line as cron does: in sh, with few environment variables."""
    command = line.decode().split(None, 5)[5]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "LOGNAME": "x"}
    subprocess.run(["/bin/sh", "-c", command], env=environment, cwd="/", check=True, timeout=60)


@pytest.mark.matrix
@pytest.mark.django_db(transaction=True)
def test_the_line_ticks_in_the_environment_of_cron(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(os.environ["PIPEKIT_DATA_DIR"])
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=real)
    assert not Tick.objects.exists()
    install()
    before = timezone.now()
    run_as_cron(own_lines(program, settings)[0])
    log = real / "logs" / "tick.log"
    assert log.read_text() == ""
    assert Tick.objects.get().at >= before


def test_paths_with_special_characters_are_quoted(program: Program, settings: Settings, tmp_path: Path) -> None:
    directory = tmp_path / 'büro 部 $HOME `x` "q" & ;'
    (directory / "logs").mkdir(parents=True)
    script = directory / "manage.py"
    script.write_text("import sys\nprint(sys.argv[1:3])\n")
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=directory)
    install()
    run_as_cron(own_lines(program, settings)[0])
    assert (directory / "logs" / "tick.log").read_text() == "['crontab', 'run']\n"


# the hashes of the lines that versions have installed; only the first is still installed
HASHES = ["5bcbb274f51d6b5edeb315b1aba8c9e4", "34219b65837f24580cbc95b61da778ae"]


def test_the_line_has_the_same_hash_in_all_versions(program: Program, settings: Settings) -> None:
    install()
    (line,) = own_lines(program, settings)
    assert f" crontab run {HASHES[0]} --settings=pipekit_site.settings >> ".encode() in line


@pytest.mark.parametrize("job_hash", HASHES)
def test_every_line_that_a_version_has_installed_ticks_once(job_hash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = list[object]()
    monkeypatch.setattr(tick, "tick_and_housekeeping", ticks.append)
    call_command("crontab", "run", job_hash)
    assert len(ticks) == 1
