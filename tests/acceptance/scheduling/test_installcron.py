"""installcron and uninstallcron against a crontab program that can fail in every way: no foreign line is ever lost."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from scheduling.models import Tick
from tests.processes.commands import exit_code

# it keeps the crontab in a file beside it, and reads how to behave from another
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
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        file = directory / "crontab"
        file.write_text(PROGRAM)
        file.chmod(0o755)

    @property
    def table(self) -> bytes | None:
        file = self.directory / "table"
        return file.read_bytes() if file.exists() else None

    @table.setter
    def table(self, text: bytes) -> None:
        (self.directory / "table").write_bytes(text)

    def be(self, mode: str) -> None:
        (self.directory / "mode").write_text(mode)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    made = Program(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.directory}:/usr/bin:/bin")
    return made


@pytest.fixture(autouse=True)
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    """Backups of this test alone."""
    (tmp_path / "data").mkdir()
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=tmp_path / "data")
    return tmp_path / "data"


def install() -> None:
    call_command("installcron")


def fails(capsys: pytest.CaptureFixture[str], command: str = "installcron") -> str:
    assert exit_code(command) == 1
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


def ours(program: Program, settings: Settings) -> list[bytes]:
    mark = f"# {settings.CRONTAB_COMMENT}".encode()
    return [line for line in (program.table or b"").split(b"\n") if line.endswith(mark)]


def test_the_line_is_added_below_what_is_there_and_a_copy_kept(
    program: Program, settings: Settings, data_dir: Path
) -> None:
    program.table = FOREIGN
    install()
    assert program.table is not None
    assert program.table.startswith(FOREIGN)
    assert program.table.count(b"\n") == FOREIGN.count(b"\n") + 1
    (line,) = ours(program, settings)
    assert line.startswith(b"* * * * * ")
    assert b" crontab run " in line
    (backup,) = (data_dir / "backups").iterdir()
    assert backup.read_bytes() == FOREIGN
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_a_second_time_changes_nothing(program: Program, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program.table = FOREIGN
    install()
    once = program.table
    install()
    assert program.table == once
    assert "already installed: * * * * *" in capsys.readouterr().out
    assert len(list((data_dir / "backups").iterdir())) == 1


def test_a_user_without_a_crontab_gets_one(program: Program, settings: Settings, data_dir: Path) -> None:
    install()
    assert program.table == ours(program, settings)[0] + b"\n"
    assert not (data_dir / "backups").exists()


def test_a_last_line_without_an_end_stays_a_line_of_its_own(program: Program, settings: Settings) -> None:
    program.table = b"0 4 * * * /opt/backup.sh"
    install()
    assert program.table is not None
    assert program.table.split(b"\n")[0] == b"0 4 * * * /opt/backup.sh"
    assert len(ours(program, settings)) == 1


def test_an_old_line_of_ours_is_replaced_and_doubles_go(program: Program, settings: Settings) -> None:
    old = f"* * * * * /old/python /old/manage.py crontab run 0 # {settings.CRONTAB_COMMENT}\n".encode()
    program.table = old + FOREIGN + old
    install()
    assert program.table is not None
    assert program.table.startswith(FOREIGN)
    assert b"/old/" not in program.table
    assert len(ours(program, settings)) == 1


def test_another_install_s_line_is_foreign(program: Program, settings: Settings) -> None:
    install()
    other = program.table
    assert other is not None
    settings.CRONTAB_COMMENT = "pipekit 0000000000000000"
    install()
    assert program.table is not None
    assert program.table.startswith(other)
    call_command("uninstallcron")
    assert program.table == other


def test_uninstalling_takes_our_line_and_nothing_else(
    program: Program, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    program.table = FOREIGN
    install()
    assert len(ours(program, settings)) == 1
    call_command("uninstallcron")
    assert program.table == FOREIGN
    call_command("uninstallcron")
    assert capsys.readouterr().out.endswith("removed\nnot installed\n")
    assert program.table == FOREIGN


def test_uninstalling_the_only_line_leaves_no_crontab(program: Program) -> None:
    install()
    call_command("uninstallcron")
    assert program.table is None


@pytest.mark.parametrize(
    ("mode", "said"),
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
def test_whatever_the_program_does_wrong_the_crontab_ends_as_it_was(
    program: Program,
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    mode: str,
    said: str,
    command: str,
) -> None:
    program.table = FOREIGN
    if command == "uninstallcron":
        install()
        capsys.readouterr()
    before = program.table
    program.be(mode)
    told = fails(capsys, command)
    assert said in told
    assert program.table == before


def test_a_crontab_that_cannot_be_put_back_is_told_with_where_the_copy_is(
    program: Program, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.table = FOREIGN
    program.be("broken")
    told = fails(capsys)
    (backup,) = (data_dir / "backups").iterdir()
    assert "could not be restored" in told
    assert f"Restore it manually: crontab {backup}" in told
    assert backup.read_bytes() == FOREIGN


def test_without_a_crontab_program_it_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = fails(capsys)
    assert "This machine has no crontab program." in told
    assert "manage.py scheduler" in told


@pytest.mark.parametrize("name", ["with#hash", "with%percent", "with\\slash"])
def test_a_path_that_a_crontab_cannot_hold_is_refused(
    program: Program, settings: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    program.table = FOREIGN
    script = tmp_path / name / "manage.py"
    script.parent.mkdir()
    script.touch()
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    assert "which a crontab line cannot hold" in fails(capsys)
    assert program.table == FOREIGN


def test_a_password_in_a_variable_does_not_get_into_the_crontab(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://pk:canary-77@127.0.0.1/pk"
    monkeypatch.setenv("PIPEKIT_DATABASE", url)
    settings.PIPEKIT = replace(settings.PIPEKIT, database=url)
    told = fails(capsys)
    assert "PIPEKIT_DATABASE contains a password" in told
    assert "canary-77" not in told
    assert program.table is None


def test_paths_with_spaces_and_quotes_are_words_of_their_own(
    program: Program, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "it's a dir"
    odd.mkdir()
    script = odd / "manage.py"
    script.write_text("import os, sys\nprint(sys.argv[1:3], os.environ['PIPEKIT_CONFIG'])\n")
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    monkeypatch.setenv("PIPEKIT_CONFIG", "x")
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=odd, config_file=odd / "c.yaml")
    (odd / "logs").mkdir()
    install()
    run_as_cron(ours(program, settings)[0])
    assert (odd / "logs" / "tick.log").read_text() == f"['crontab', 'run'] {odd}/c.yaml\n"


def test_what_limits_the_files_of_connections_limits_those_of_scheduled_runs_too(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_FILE_ROOTS", "data,/srv/x")
    settings.PIPEKIT = replace(settings.PIPEKIT, file_roots=(Path("/var/data"), Path("/srv/x")))
    install()
    assert b"PIPEKIT_FILE_ROOTS=/var/data,/srv/x " in ours(program, settings)[0]


def run_as_cron(line: bytes) -> None:
    """As cron does: the command after five fields, in sh, with next to no environment."""
    command = line.decode().split(None, 5)[5]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh", "LOGNAME": "x"}
    subprocess.run(["/bin/sh", "-c", command], env=environment, cwd="/", check=True, timeout=60)


@pytest.mark.django_db(transaction=True)
def test_the_line_ticks_in_cron_s_empty_environment(
    program: Program, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(os.environ["PIPEKIT_DATA_DIR"])
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=real)
    assert not Tick.objects.exists()
    install()
    before = timezone.now()
    run_as_cron(ours(program, settings)[0])
    log = real / "logs" / "tick.log"
    assert log.read_text() == ""
    assert Tick.objects.get().at >= before


@pytest.mark.matrix
@pytest.mark.skipif(shutil.which("crontab") is None, reason="this machine has no crontab program")
def test_the_real_crontab_program_takes_it_and_gives_it_back() -> None:
    """What this user has is put back afterwards."""
    found = subprocess.run(["crontab", "-l"], capture_output=True, check=False)
    foreign = found.stdout if found.returncode == 0 else b""
    try:
        subprocess.run(["crontab", "-"], input=foreign + b"# ours to keep\n0 4 1 1 * true\n", check=True)
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
        b"# only a remark",
        b"SHELL=/bin/csh\nPATH=/nowhere\n@reboot /x\n",
        b"x" * 100_000 + b"\n",
    ],
)
def test_whatever_others_keep_there_is_there_after_installing_and_uninstalling(
    program: Program, settings: Settings, table: bytes
) -> None:
    program.table = table
    install()
    assert len(ours(program, settings)) == 1
    call_command("uninstallcron")
    assert program.table == (table if table.endswith(b"\n") else table + b"\n")


def test_a_line_of_ours_that_somebody_commented_out_is_theirs_and_stays(program: Program, settings: Settings) -> None:
    off = f"#* * * * * /old/python # {settings.CRONTAB_COMMENT}\n".encode()
    program.table = off
    install()
    assert (program.table or b"").startswith(off)
    call_command("uninstallcron")
    assert program.table == off


def test_a_path_with_letters_of_all_kinds_is_run_by_cron_as_it_is(
    program: Program, settings: Settings, tmp_path: Path
) -> None:
    odd = tmp_path / 'büro 部 $HOME `x` "q" & ;'
    (odd / "logs").mkdir(parents=True)
    script = odd / "manage.py"
    script.write_text("import sys\nprint(sys.argv[1:3])\n")
    settings.CRONTAB_DJANGO_MANAGE_PATH = str(script)
    settings.PIPEKIT = replace(settings.PIPEKIT, data_dir=odd)
    install()
    run_as_cron(ours(program, settings)[0])
    assert (odd / "logs" / "tick.log").read_text() == "['crontab', 'run']\n"
