"""Checks of the installation: configuration, data directory, metadata, secrets, drivers, PostgreSQL, jrunner."""

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

from connections import registry, relative_paths
from connections.models import Connection, Driver
from connections.probe import probe_connection
from connections.sdk.errors import ConfigurationInvalid, PipekitError
from connections.sdk.files import path_problem
from connections.sdk.formatting import one_line
from connections.secrets.references import store
from pipekit_site.config import config
from pipekit_site.doctor.metadata_server import metadata_server
from pipekit_site.metadata import errors, sqlite_file
from runs.models import setting

# bytes
_MIN_FREE_SPACE = 500 * 1024 * 1024
# seconds
_JRUNNER_TIMEOUT = 60


def configuration() -> str:
    """Run the system checks; the configuration itself was validated when this process started."""
    problems = checks.run_checks(include_deployment_checks=False)
    if serious := [problem for problem in problems if problem.is_serious()]:
        message = " ".join(str(problem.msg) for problem in serious)
        raise ConfigurationInvalid(message, hint=" ".join(str(problem.hint) for problem in serious if problem.hint))
    origins = [f"{key} from {where}" for key, where in config.origins().items() if where]
    warnings = "".join(f" Warning: {problem.msg} {problem.hint or ''}" for problem in problems)
    return f"{'; '.join(origins)}; the rest is default.{warnings}" if origins else f"Everything is default.{warnings}"


def data_directory() -> str:
    """Check that the data directory is writable and has free space."""
    directory = settings.PIPEKIT.data_dir
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".doctor-") as file:
            file.write(b"written")
            file.flush()
    except OSError as error:
        raise ConfigurationInvalid(
            f"{directory} cannot be written to: {error.strerror}.", hint=path_problem.advice(error)
        ) from error
    free = shutil.disk_usage(directory).free
    if free < _MIN_FREE_SPACE:
        raise ConfigurationInvalid(
            f"{directory} has only {free // 2**20} MB left.", hint="Free space: manage.py prune, or use a bigger disk."
        )
    return f"{directory}, {free / 2**30:.1f} GB free"


def metadata_database() -> str:
    """Check that the metadata database is writable and undamaged."""
    with transaction.atomic(), metadata.cursor() as cursor:
        # on SQLite, beginning a transaction takes the write lock, so it fails if writing is impossible
        cursor.execute("SELECT 1")
    if metadata.vendor != "sqlite":
        return metadata_server()
    with metadata.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        result = cursor.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise errors.MetadataUnavailable(
            f"{settings.PIPEKIT.database} is damaged: {one_line(result)}.",
            hint=sqlite_file.RESTORE.format(where=errors.where()),
        )
    if mode != "wal":
        raise ConfigurationInvalid(
            f"{settings.PIPEKIT.database} is in mode {mode}, not WAL.",
            hint="Move it to a writable local disk.",
        )
    return f"{settings.PIPEKIT.database}, SQLite in WAL mode"


def migrations() -> str:
    """Check that all migrations are applied."""
    executor = MigrationExecutor(metadata)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label} {migration.name}" for migration, _ in plan[:3])
        more = f" and {len(plan) - 3} more" if len(plan) > 3 else ""
        raise ConfigurationInvalid(f"Not applied yet: {names}{more}.", hint="manage.py migrate")
    return f"{len(executor.loader.applied_migrations)} are applied"


def stored_settings() -> str:
    """Check that the stored settings are valid: earlier versions accepted others, and SQL can write any."""
    if invalid := sorted(setting.current_settings().invalid.keys() & set(setting.names())):
        raise ConfigurationInvalid(
            f"The stored values of {', '.join(invalid)} are not valid, so what needs these settings fails.",
            hint="Set them in the admin, under Settings.",
        )
    return "all stored values are valid"


def secrets_file() -> str:
    """Check the permissions and the syntax of the secrets file."""
    problems = store().check()
    if problems:
        message = " ".join(problem.message for problem in problems)
        raise ConfigurationInvalid(
            message, hint=" ".join(dict.fromkeys(problem.hint for problem in problems if problem.hint))
        )
    file = store().path
    if file is None or not file.exists():
        return f"{file or 'It'} does not exist{_missing_file_consequence()}"
    return f"{file}: {', '.join(store().names()) or 'it is empty'}"


def _missing_file_consequence() -> str:
    """Return whether the missing secrets file is a problem; the check of the secrets has the hint."""
    used = list(used_secrets())
    missing = [reference for reference, names in used if unresolved(reference, names)]
    if missing:
        return f", and the environment does not have {', '.join(missing)} either"
    return "; the environment has all secrets that are used" if used else ", and no connection needs it"


def used_secrets() -> Iterator[tuple[str, list[str]]]:
    """Yield (reference, names of the connections that use it), sorted by reference."""
    users: dict[str, list[str]] = {}
    for row in Connection.objects.with_driver().order_by("name"):
        for reference in row.references():
            users.setdefault(reference, []).append(row.name)
    yield from sorted(users.items())


def secrets() -> str:
    """Check that all secrets of connections are set, and bound to their targets."""
    used = list(used_secrets())
    problems = [problem for reference, names in used if (problem := unresolved(reference, names))]
    problems += [problem for row in Connection.objects.with_driver() if (problem := _binding_error(row))]
    if problems:
        raise ConfigurationInvalid(
            " ".join(problem.message for problem in problems),
            hint="; ".join(dict.fromkeys(problem.hint for problem in problems)),
        )
    return f"All that are used are set: {', '.join(reference for reference, _ in used)}" if used else "None is used"


def unresolved(reference: str, names: list[str]) -> PipekitError | None:
    """Return the error of resolving a reference that these connections use, or None."""
    try:
        store().resolve(reference)
    except PipekitError as error:
        used = f"connection {names[0]}" if len(names) == 1 else f"connections {', '.join(names)}"
        return ConfigurationInvalid(f"{error.message} It is used by {used}. {error.detail}".strip(), hint=error.hint)
    return None


def _binding_error(row: Connection) -> PipekitError | None:
    try:
        row.check_binding()
    except PipekitError as error:
        return error
    return None


def drivers() -> str:
    """Check that the kinds in use are installed, and that jar files exist and have the recorded SHA-256."""
    directory: Path = settings.PIPEKIT.driver_dir
    used = Driver.objects.filter(connections__isnull=False).distinct()
    broken = {error.message: error.hint for error in registry.problems()}
    absent = {driver.unusable_reason for driver in used} - broken.keys() - {""}
    if broken or absent:
        hints = list(filter(None, broken.values()))
        if absent or not hints:
            hints.append("Install the package of the connector again, or remove its connections.")
        raise ConfigurationInvalid(" ".join(sorted({*broken, *absent})), hint=" ".join(dict.fromkeys(hints)))
    needed = Driver.objects.exclude(jar_file="").filter(connections__isnull=False).distinct()
    problems = [problem for driver in needed if (problem := _jar_problem(driver, directory))]
    if problems:
        raise ConfigurationInvalid(" ".join(problems), hint=f"Put the right jar into {directory}.")
    return (
        f"In {directory}: {', '.join(driver.jar_file for driver in needed)}" if needed else "No connection needs a jar"
    )


def _jar_problem(driver: Driver, directory: Path) -> str:
    jar = directory / driver.jar_file
    if not jar.is_file():
        return f"{driver.name} needs {jar}, which does not exist."
    with jar.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{jar} is not the file whose SHA-256 was recorded." if driver.sha256 not in ("", digest) else ""


def local_servers() -> str:
    """Check the embedded servers that connections use. A stopped one is not started."""
    # the check of drivers reports the other kinds
    rows = [row for row in Connection.objects.with_driver() if row.driver.kind in registry.manifests()]
    found = [server for row in rows if (server := registry.local_server(row.driver.kind, row.options))]
    running, stopped = list[str](), list[str]()
    for directory, server in sorted({server.directory: server for server in found}.items()):
        (running if server.is_running(str(settings.PIPEKIT.data_dir)) else stopped).append(directory)
    states = [f"runs in {', '.join(running)}"] if running else []
    states += [f"stopped in {', '.join(stopped)}; starts when needed"] if stopped else []
    return "; ".join(states) or "No connection uses it"


def connection_paths() -> str:
    """Name the connections whose files have relative paths; they may work, so this is only a warning."""
    rows = Connection.objects.with_driver()
    return "".join(f"Warning: {warning} " for warning in relative_paths.warnings(rows)).strip() or "None is relative"


def jrunner() -> str:
    """Check that jrunner starts, or that an external one is an executable program."""
    external = settings.PIPEKIT.jrunner_path
    command = [external, "--help"] if external else [sys.executable, "-m", "runs.jrunner", "--help"]
    if external and shutil.which(external) is None:
        raise ConfigurationInvalid(
            f"{external} is not an executable program.", hint="Correct jrunner_path, or leave it out."
        )
    if external:
        # not started: whether another program accepts --help is unknown
        return f"external: {shutil.which(external)}"
    done = subprocess.run(
        command, cwd=config.BASE_DIR, capture_output=True, text=True, timeout=_JRUNNER_TIMEOUT, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise ConfigurationInvalid(
            f"jrunner does not start (exit code {done.returncode}): {done.stderr.strip()[-500:]}",
            hint=f"{sys.executable} -m pip install .",
        )
    return "bundled; it starts"


def connection(row: Connection) -> str:
    """Test one connection, without saving the result."""
    result = probe_connection(row.parameters, name=row.name, kind=row.driver.kind, write=row.is_destination)
    if result.error:
        raise ConfigurationInvalid(result.message, hint=result.error["hint"])
    return result.message
