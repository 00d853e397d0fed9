"""`installcron` and `uninstallcron` change only lines that Pipekit has written."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests.acceptance.scheduling.crontab.program import FOREIGN, Program, install, own_lines


def test_the_line_is_appended_to_the_crontab_after_a_backup(
    program: Program, settings: Settings, data_dir: Path
) -> None:
    program.table = FOREIGN
    call_command("installcron")
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
