"""Tests of `installcron` and `uninstallcron` with a crontab program that fails in various ways.

No line that Pipekit did not write is ever lost.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from pipekit_site.config import config
from scheduling.models import Tick
from tests.processes.commands import exit_code

# keeps the crontab in the file `table` of its directory, and reads how to fail from the file `mode`
PROGRAM = """#!/bin/sh
cd "$(dirname "$0")"
mode=$(cat mode 2>/dev/null)
case "$1" in
  -l)
    [ "$mode" = unreadable ] && { echo "crontab: cannot open your crontab: Input/output error" >&2; exit 1; }
    [ -f table ] || { echo "no crontab for $(id -un)" >&2; exit 1; }
    cat table;;
  -r)
    rm -f table;;
  -)
    case "$mode" in
      refusing) cat >/dev/null; echo '"-":3: bad minute' >&2; exit 1;;
      silent) cat >/dev/null;;
      losing) rm mode; grep -v backup >table;;
      cutting) rm mode; head -c 40 >table;;
      broken) head -c 40 >table;;
      doubling) rm mode; cat >table; tail -n 1 table >>table;;
      *) cat >table;;
    esac;;
esac
"""
FOREIGN = (
    b"MAILTO=ops@example.com\n# nightly \xe4\xf6 # things\n\n@daily  /opt/backup.sh 'a%b'   # pipekit\n0 4 * * *\t/x\n"
)


class Program:
    """The crontab program of a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        file = directory / "crontab"
        file.write_text(PROGRAM)
        file.chmod(0o755)

    @property
    def table(self) -> bytes | None:
        """The content of the crontab, None if there is none."""
        file = self.directory / "table"
        return file.read_bytes() if file.exists() else None

    @table.setter
    def table(self, text: bytes) -> None:
        (self.directory / "table").write_bytes(text)

    def fail_by(self, mode: str) -> None:
        """Set how the program fails from now on."""
        (self.directory / "mode").write_text(mode)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    program = Program(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{program.directory}:/usr/bin:/bin")
    return program


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """Use a data directory of the test's own, for the backups."""
    (tmp_path / "data").mkdir()
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path / "data")
    return tmp_path / "data"


def install() -> None:
    call_command("installcron")


def error_of(capsys: pytest.CaptureFixture[str], command: str = "installcron") -> str:
    """Call a command that must fail; return its error message."""
    assert exit_code(command) == 1
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


def own_lines(program: Program, settings: Settings) -> list[bytes]:
    """Return the lines of the crontab that this installation has written."""
    mark = f"# {settings.CRONTAB_COMMENT}".encode()
    return [line for line in (program.table or b"").split(b"\n") if line.endswith(mark)]


def test_the_line_is_appended_to_the_crontab_after_a_backup(
    program: Program, settings: Settings, data_dir: Path
) -> None:
    program.table = FOREIGN
    install()
    assert program.table is not None
    assert program.table.startswith(FOREIGN)
    assert program.table.count(b"\n") == FOREIGN.count(b"\n") + 1
    (line,) = own_lines(program, settings)
    assert line.startswith(b"* * * * * ")
    assert b" crontab run " in line
    (backup,) = (data_dir / "backups").iterdir()
    assert backup.read_bytes() == FOREIGN
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_installing_again_changes_nothing(program: Program, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.table = FOREIGN
    install()
    table = program.table
    install()
    assert program.table == table
    assert "already installed: * * * * *" in capsys.readouterr().out
    assert len(list((data_dir / "backups").iterdir())) == 1


def test_a_crontab_is_created_for_a_user_without_one(program: Program, settings: Settings, data_dir: Path) -> None:
    install()
    assert program.table == own_lines(program, settings)[0] + b"\n"
    assert not (data_dir / "backups").exists()


def test_the_line_is_appended_correctly_after_a_last_line_without_a_line_break(
    program: Program, settings: Settings
) -> None:
    program.table = b"0 4 * * * /opt/backup.sh"
    install()
    assert program.table is not None
    assert program.table.split(b"\n")[0] == b"0 4 * * * /opt/backup.sh"
    assert len(own_lines(program, settings)) == 1


def test_former_lines_of_this_installation_are_replaced_by_one_line(program: Program, settings: Settings) -> None:
    old = f"* * * * * /old/python /old/manage.py crontab run 0 # {settings.CRONTAB_COMMENT}\n".encode()
    program.table = old + FOREIGN + old
    install()
    assert program.table is not None
    assert program.table.startswith(FOREIGN)
    assert b"/old/" not in program.table
    assert len(own_lines(program, settings)) == 1


def test_the_line_of_another_installation_is_not_changed(program: Program, settings: Settings) -> None:
    install()
    other = program.table
    assert other is not None
    settings.CRONTAB_COMMENT = "pipekit 0000000000000000"
    install()
    assert program.table is not None
    assert program.table.startswith(other)
    call_command("uninstallcron")
    assert program.table == other


def test_uninstalling_removes_only_the_line_of_this_installation(
    program: Program, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    program.table = FOREIGN
    install()
    assert len(own_lines(program, settings)) == 1
    call_command("uninstallcron")
    assert program.table == FOREIGN
    call_command("uninstallcron")
    assert capsys.readouterr().out.endswith("removed\nnot installed\n")
    assert program.table == FOREIGN


def test_uninstalling_the_only_line_removes_the_crontab(program: Program) -> None:
    install()
    call_command("uninstallcron")
    assert program.table is None


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("unreadable", "could not be read, so it was not changed"),
        ("refusing", "rejected the crontab"),
        ("silent", "does not read back as it was written"),
        ("losing", "does not read back as it was written"),
        ("cutting", "does not read back as it was written"),
        ("doubling", "does not read back as it was written"),
    ],
)
@pytest.mark.parametrize("command", ["installcron", "uninstallcron"])
def test_the_crontab_is_unchanged_after_any_failure_of_the_program(
    program: Program,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    message: str,
    command: str,
) -> None:
    program.table = FOREIGN
    if command == "uninstallcron":
        install()
        capsys.readouterr()
    before = program.table
    program.fail_by(mode)
    assert message in error_of(capsys, command)
    assert program.table == before


def test_the_error_about_a_crontab_that_cannot_be_restored_names_the_backup(
    program: Program, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.table = FOREIGN
    program.fail_by("broken")
    error = error_of(capsys)
    (backup,) = (data_dir / "backups").iterdir()
    assert "could not be restored" in error
    assert f"Restore it manually: crontab {backup}" in error
    assert backup.read_bytes() == FOREIGN


def test_without_a_crontab_program_the_error_names_the_scheduler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = error_of(capsys)
    assert "This machine has no crontab program." in error
    assert "manage.py scheduler" in error


@pytest.mark.parametrize("name", ["with#hash", "with%percent", "with\\slash"])
def test_a_path_that_a_crontab_line_cannot_contain_is_refused(
    program: Program, settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    program.table = FOREIGN
    script = tmp_path / name / "manage.py"
    script.parent.mkdir()
    script.touch()
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    assert "which a crontab line cannot hold" in error_of(capsys)
    assert program.table == FOREIGN


def test_a_password_in_an_environment_variable_is_refused(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://pk:canary-77@127.0.0.1/pk"
    monkeypatch.setenv("PIPEKIT_DATABASE", url)
    settings.PIPEKIT = replace(settings.PIPEKIT, database=url)
    error = error_of(capsys)
    assert "PIPEKIT_DATABASE contains a password" in error
    assert "canary-77" not in error
    assert program.table is None


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


@pytest.mark.matrix
@pytest.mark.skipif(shutil.which("crontab") is None, reason="this machine has no crontab program")
def test_the_line_is_installed_and_removed_with_the_real_crontab_program() -> None:
    """The crontab of the user who runs the tests is changed and then restored."""
    listing = subprocess.run(["crontab", "-l"], capture_output=True, check=False)
    foreign = listing.stdout if listing.returncode == 0 else b""
    try:
        subprocess.run(["crontab", "-"], input=foreign + b"# of the user\n0 4 1 1 * true\n", check=True)
        before = subprocess.run(["crontab", "-l"], capture_output=True, check=True).stdout
        install()
        during = subprocess.run(["crontab", "-l"], capture_output=True, check=True).stdout
        call_command("uninstallcron")
        after = subprocess.run(["crontab", "-l"], capture_output=True, check=True).stdout
    finally:
        subprocess.run(["crontab", "-"] if foreign else ["crontab", "-r"], input=foreign, check=True)
    assert during.startswith(before)
    assert b"crontab run" in during.removeprefix(before)
    assert after == before


@pytest.mark.parametrize(
    "table",
    [
        b'0 4 * * * /x\r\nMAILTO=""\r\n',
        b"0 4 * * * /x # pipekit tick\n\n\n",
        "0 4 * * * /opt/büro/läuft.sh\n".encode("latin-1"),
        b"\n",
        b"# only a comment",
        b"SHELL=/bin/csh\nPATH=/nowhere\n@reboot /x\n",
        b"x" * 100_000 + b"\n",
    ],
)
def test_installing_and_uninstalling_keeps_any_crontab(program: Program, settings: Settings, table: bytes) -> None:
    program.table = table
    install()
    assert len(own_lines(program, settings)) == 1
    call_command("uninstallcron")
    assert program.table == (table if table.endswith(b"\n") else table + b"\n")


def test_a_line_of_this_installation_that_is_commented_out_is_kept(program: Program, settings: Settings) -> None:
    off = f"#* * * * * /old/python # {settings.CRONTAB_COMMENT}\n".encode()
    program.table = off
    install()
    assert (program.table or b"").startswith(off)
    call_command("uninstallcron")
    assert program.table == off


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
