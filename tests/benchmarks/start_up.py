"""``python -m tests.benchmarks.start_up``: compares the CPU time of short commands with that of an earlier commit.

The earlier commit is exported with ``git archive`` and uses the same Python and packages. Both versions run in turn,
each with its own data directory, modules and destination tables. CPU time is the user and system time of the command
and of all processes that it starts and waits for. Compare the ratios: seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import io
import os
import sqlite3
import statistics
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from connections import embedded_postgresql
from connections.sdk.files import protection

_ROOT = Path(__file__).resolve().parents[2]
# the last commit in which every command imported everything
_COMMIT = "43a2c86"
_CONFIG = """\
version: 1
connections:
  file_source: {{driver: sqlite, jdbc_url: '{directory}/source.db'}}
  file_destination: {{driver: sqlite, jdbc_url: '{directory}/{side}.db'}}
  server: {{driver: postgresql, jdbc_url: '{url}'}}
modules:
  files:
    source_connection: file_source
    dest_connection: file_destination
    dest_table: one_row
    source_query: SELECT id, name, price FROM one_row
  servers:
    source_connection: server
    dest_connection: server
    dest_table: {side}.one_row
    source_query: SELECT id, name, price FROM public.one_row
"""
# variables that are not passed to commands; without PYTHON*, bytecode is cached as usual
_REMOVED = ("PIPEKIT_", "DJANGO_", "PYTHON")
# the commands, with the maximum ratio of each
_COMMANDS = {
    "check": (("check",), 0.5),
    "runmodule, SQLite to SQLite": (("runmodule", "files", "--quiet"), 0.6),
    "runmodule, PostgreSQL to PostgreSQL": (("runmodule", "servers", "--quiet"), 0.6),
}


@dataclass(frozen=True, slots=True)
class Side:
    """A version of Pipekit: its source tree and its data directory."""

    tree: Path
    data_dir: Path

    def cpu(self, *arguments: str) -> float:
        """Run a command and return its CPU seconds. Raises RuntimeError with its output if it fails."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)}
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=self.tree,
                env={**environ, "PIPEKIT_DATA_DIR": str(self.data_dir)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            if process.returncode:
                raise RuntimeError(f"{' '.join(arguments)} in {self.tree} failed:\n{output.read()}")
        return usage.ru_utime + usage.ru_stime


def export(commit: str, directory: Path) -> None:
    """Write the files of a commit into a directory."""
    archive = subprocess.run(["git", "archive", commit], cwd=_ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")


def make_sources(directory: Path, url: str) -> None:
    """Create the two source tables with one row each, and an empty destination file for each side."""
    with sqlite3.connect(directory / "source.db") as source:
        source.execute("CREATE TABLE one_row (id integer PRIMARY KEY, name text NOT NULL, price real)")
        source.execute("INSERT INTO one_row VALUES (1, 'one', 1.5)")
    source.close()
    for name in ("before", "after"):
        sqlite3.connect(directory / f"{name}.db").execute("VACUUM").connection.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.one_row (id integer PRIMARY KEY, name text NOT NULL, price float8)")
        connection.execute("INSERT INTO public.one_row VALUES (1, 'one', 1.5)")


def configure(side: Side, name: str, directory: Path, url: str) -> None:
    """Create the side's metadata and its two modules."""
    file = directory / f"{name}.yaml"
    file.write_text(_CONFIG.format(directory=directory, side=name, url=url))
    side.cpu("migrate", "--verbosity", "0")
    side.cpu("importconfig", str(file))


def compare(before: Side, after: Side, arguments: tuple[str, ...], rounds: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of both sides, which run in turn; the first round is not counted."""
    pairs: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        # each side is first in every other round
        if number % 2:
            pairs.append((before.cpu(*arguments), after.cpu(*arguments)))
        else:
            second, first = after.cpu(*arguments), before.cpu(*arguments)
            pairs.append((first, second))
    del pairs[0]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def report(name: str, before: list[float], after: list[float], limit: float) -> bool:
    """Print one row of the table; return whether the ratio of the medians is within its limit."""
    medians, lows = [[function(side) for side in (before, after)] for function in (statistics.median, min)]
    ratio = medians[1] / medians[0]
    print(
        f"{name:36} {medians[0]:7.3f} s {medians[1]:7.3f} s {ratio:6.2f}x   "
        f"{lows[0]:7.3f} s {lows[1]:7.3f} s {lows[1] / lows[0]:6.2f}x   "
        f"at most {limit:.2f}x {'ok' if ratio <= limit else 'TOO SLOW'}",
        flush=True,
    )
    return ratio <= limit


def main() -> int:
    # no files of an installation need protection here
    protection.configure(protection.Protection())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--against", metavar="COMMIT", default=_COMMIT, help="the earlier commit (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=15, help="counted runs of each command (default: %(default)s)")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pk-bench-") as temporary:
        directory = Path(temporary)
        directory.chmod(0o755)
        export(flags.against, directory / "tree")
        before, after = Side(directory / "tree", directory / "var-before"), Side(_ROOT, directory / "var-after")
        try:
            url = embedded_postgresql.ensure_running(directory / "pg")
            make_sources(directory, url)
            configure(before, "before", directory, url)
            configure(after, "after", directory, url)
            print(f"CPU seconds of {flags.rounds} runs each; load before {os.getloadavg()[0]:.1f}")
            print(f"{'':36} {'median of':>9} {'median':>9} {'':7}   {'minimum':>9} {'minimum':>9}")
            columns = f"{flags.against[:9]:>9} {'now':>9} {'ratio':>7}"
            print(f"{'':36} {columns}   {columns}")
            verdicts = [
                report(name, *compare(before, after, arguments, flags.rounds), limit)
                for name, (arguments, limit) in _COMMANDS.items()
            ]
        finally:
            embedded_postgresql.stop(directory / "pg")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
