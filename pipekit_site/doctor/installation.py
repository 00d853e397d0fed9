"""Doctor's checks of this install: configuration, data directory, metadata, secrets, drivers, PostgreSQL, jrunner."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import connection as metadata
from django.db import transaction
from django.db.migrations.executor import MigrationExecutor

from connections import embedded_postgresql as embedded
from connections import probe
from connections.models import Connection, Driver
from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.secrets.references import store
from pipekit_site.config import config
from pipekit_site.doctor.metadata_server import metadata_server

_ENOUGH = 500 * 1024 * 1024
_SECONDS = 60


def configuration() -> str:
    """Everything was read when this process started, or it would not have; what is left are the start-up checks."""
    found = checks.run_checks(include_deployment_checks=False)
    if serious := [problem for problem in found if problem.is_serious()]:
        said = " ".join(str(problem.msg) for problem in serious)
        raise ConfigurationInvalid(said, hint=" ".join(str(problem.hint) for problem in serious if problem.hint))
    origins = [f"{key} from {where}" for key, where in config.origins().items() if where]
    warned = "".join(f" Warning: {problem.msg} {problem.hint or ''}" for problem in found)
    return f"{'; '.join(origins)}; the rest is default.{warned}" if origins else f"Everything is default.{warned}"


def data_directory() -> str:
    directory = settings.PIPEKIT.data_dir
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".doctor-") as file:
            file.write(b"written")
            file.flush()
    except OSError as error:
        raise ConfigurationInvalid(
            f"{directory} cannot be written to: {error.strerror}.",
            hint="Run as the user that owns it, or set data_dir.",
        ) from error
    free = shutil.disk_usage(directory).free
    if free < _ENOUGH:
        raise ConfigurationInvalid(
            f"{directory} has {free // 2**20} MB left.", hint="Make room: manage.py prune, or a bigger disk."
        )
    return f"{directory}, {free / 2**30:.1f} GB free"


def metadata_database() -> str:
    with transaction.atomic(), metadata.cursor() as cursor:
        # SQLite's transactions begin with the write lock, so beginning one proves that writing is possible
        cursor.execute("SELECT 1")
    if metadata.vendor != "sqlite":
        return metadata_server()
    with metadata.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        found = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ConfigurationInvalid(
            f"{settings.PIPEKIT.database} is damaged: {found}.", hint="Restore the last backup; keep the damaged file."
        )
    if mode != "wal":
        raise ConfigurationInvalid(
            f"{settings.PIPEKIT.database} is in mode {mode}, not WAL.",
            hint="Put it on a local disk that can be written.",
        )
    return f"{settings.PIPEKIT.database}, SQLite in WAL mode"


def migrations() -> str:
    executor = MigrationExecutor(metadata)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label} {migration.name}" for migration, _ in plan[:3])
        more = f" and {len(plan) - 3} more" if len(plan) > 3 else ""
        raise ConfigurationInvalid(f"Not applied yet: {names}{more}.", hint="manage.py migrate")
    return f"{len(executor.loader.applied_migrations)} are applied"


def secrets_file() -> str:
    found = store().check()
    if found:
        said = " ".join(problem.message for problem in found)
        raise ConfigurationInvalid(
            said, hint=" ".join(dict.fromkeys(problem.hint for problem in found if problem.hint))
        )
    file = store().path
    if file is None or not file.exists():
        return f"{file or 'It'} does not exist{_consequence()}"
    return f"{file}: {', '.join(store().names()) or 'it is empty'}"


def _consequence() -> str:
    """Return what it means that there is no secrets file; the check of the secrets says what to do."""
    used = list(used_secrets())
    missing = [reference for reference, names in used if unresolved(reference, names)]
    if missing:
        return f", and the environment does not have {', '.join(missing)} either"
    return "; the environment has every secret that is used" if used else ", which is fine while no connection needs it"


def used_secrets() -> Iterator[tuple[str, list[str]]]:
    """Yield every reference that connections use, with the names of these."""
    users: dict[str, list[str]] = {}
    for row in Connection.objects.with_driver().order_by("name"):
        for reference in row.references():
            users.setdefault(reference, []).append(row.name)
    yield from sorted(users.items())


def secrets() -> str:
    used = list(used_secrets())
    problems = [problem for reference, names in used if (problem := unresolved(reference, names))]
    problems += [problem for row in Connection.objects.with_driver() if (problem := _unbound(row))]
    if problems:
        raise ConfigurationInvalid(
            " ".join(problem.message for problem in problems),
            hint="; ".join(dict.fromkeys(problem.hint for problem in problems)),
        )
    return f"Set, as connections need them: {', '.join(reference for reference, _ in used)}" if used else "None is used"


def unresolved(reference: str, names: list[str]) -> PipekitError | None:
    """Return what is wrong with a reference that these connections use."""
    try:
        store().resolve(reference)
    except PipekitError as error:
        used = f"connection {names[0]}" if len(names) == 1 else f"connections {', '.join(names)}"
        return ConfigurationInvalid(f"{error.message} It is used by {used}. {error.detail}".strip(), hint=error.hint)
    return None


def _unbound(row: Connection) -> PipekitError | None:
    try:
        row.check_binding()
    except PipekitError as error:
        return error
    return None


def drivers() -> str:
    directory: Path = settings.PIPEKIT.driver_dir
    needed = Driver.objects.exclude(jar_file="").filter(connections__isnull=False).distinct()
    problems = [problem for driver in needed if (problem := _jar_problem(driver, directory))]
    if problems:
        raise ConfigurationInvalid(" ".join(problems), hint=f"Put the jar into {directory}: manage.py drivers install")
    return (
        f"In {directory}: {', '.join(driver.jar_file for driver in needed)}" if needed else "No connection needs a jar"
    )


def _jar_problem(driver: Driver, directory: Path) -> str:
    jar = directory / driver.jar_file
    if not jar.is_file():
        return f"{driver.name} needs {jar}, which is not there."
    with jar.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{jar} is not the file whose SHA-256 was recorded." if driver.sha256 not in ("", digest) else ""


def embedded_postgresql() -> str:
    found = {row.options["embedded"] for row in Connection.objects.all() if row.options.get("embedded")}
    for directory in sorted(found):
        embedded.ensure_running(directory, within=settings.PIPEKIT.data_dir)
    return f"runs in {', '.join(sorted(found))}" if found else "No connection uses it"


def jrunner() -> str:
    external = settings.PIPEKIT.jrunner_path
    command = [external, "--help"] if external else [sys.executable, "-m", "runs.jrunner", "--help"]
    if external and shutil.which(external) is None:
        raise ConfigurationInvalid(
            f"{external} is not a program that can be run.", hint="Set jrunner_path, or leave it out."
        )
    if external:
        # what another program does with --help is not known
        return f"external: {shutil.which(external)}"
    done = subprocess.run(
        command, cwd=config.BASE_DIR, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise ConfigurationInvalid(
            f"jrunner does not start (exit code {done.returncode}): {done.stderr.strip()[-500:]}",
            hint=f"{sys.executable} -m pip install .",
        )
    return "bundled; it starts"


def connection(row: Connection) -> str:
    result = probe.probe(row.parameters, name=row.name, kind=row.driver.kind, write=row.dest_modules.exists())
    if result.error:
        raise ConfigurationInvalid(result.message, hint=result.error["hint"])
    return result.message
