"""Bootstrap configuration: config.yaml and PIPEKIT_* variables to one frozen Config. Loud about nonsense.

A variable wins over the file, the file over the default. Relative paths are taken from the data directory, the data
directory itself from where the file is (or manage.py), so that a copied directory works where it lands.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from pipekit_site.config import values
from pipekit_site.config.file import Entry, read

BASE_DIR = Path(__file__).resolve().parent.parent.parent
_ENV = environ.Env()

# key -> what it takes, and the variables that override it
_KEYS: dict[str, tuple[values.Read, tuple[str, ...]]] = {
    "data_dir": (values.path, ("PIPEKIT_DATA_DIR",)),
    "database": (values.database, ("PIPEKIT_DATABASE",)),
    "jrunner_path": (values.path_or_nothing, ("PIPEKIT_JRUNNER_PATH",)),
    "driver_dir": (values.path, ("PIPEKIT_DRIVER_DIR",)),
    "secrets_file": (values.path, ("PIPEKIT_SECRETS", "PIPEKIT_SECRETS_FILE")),
    "file_roots": (values.paths, ("PIPEKIT_FILE_ROOTS",)),
    "secret_environment": (values.secret_names, ("PIPEKIT_SECRET_ENVIRONMENT",)),
    "api_port": (values.port, ("PIPEKIT_API_PORT",)),
    "allowed_hosts": (values.hosts, ("PIPEKIT_ALLOWED_HOSTS",)),
    "debug": (values.switch, ("PIPEKIT_DEBUG",)),
    "tls": (values.switch, ("PIPEKIT_TLS",)),
    "webhook_private": (values.switch, ("PIPEKIT_WEBHOOK_PRIVATE",)),
    "smtp.host": (values.host, ("PIPEKIT_SMTP_HOST",)),
    "smtp.port": (values.port, ("PIPEKIT_SMTP_PORT",)),
    "smtp.from": (values.address, ("PIPEKIT_SMTP_FROM",)),
    "smtp.to": (values.addresses, ("PIPEKIT_SMTP_TO",)),
}
VARIABLES = tuple(sorted({"PIPEKIT_CONFIG", *(name for _, names in _KEYS.values() for name in names)}))
# their values may hold a password, which no message repeats
_PRIVATE = frozenset({"database"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    host: str = ""
    port: int = 25
    sender: str = ""
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What is decided before the database is open. Paths are absolute; an empty jrunner_path is the bundled one."""

    data_dir: Path
    # a SQLite file's absolute path, or a database URL
    database: str
    driver_dir: Path
    secrets_file: Path
    # where files of connections may lie; empty: anywhere but where Pipekit's own are
    file_roots: tuple[Path, ...] = ()
    jrunner_path: str = ""
    api_port: int = 8100
    allowed_hosts: tuple[str, ...] = ()
    debug: bool = False
    # served by HTTPS, behind a proxy that ends TLS
    tls: bool = False
    # the only variables that are secrets; None: all but the process's own and other programs' tokens
    secret_environment: tuple[str, ...] | None = None
    # webhooks may lead to this machine and private networks
    webhook_private: bool = False
    smtp: Smtp = Smtp()
    # the file that was read, whether or not it exists
    config_file: Path = Path()

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def is_sqlite(self) -> bool:
        return "://" not in self.database


def load() -> Config:
    """Read the configuration. Raises ImproperlyConfigured naming every wrong key, where it is, what was expected."""
    problems: list[str] = []
    file = _config_file(problems)
    entries: dict[str, Entry] = {}
    found: dict[str, Any] = {}
    # a wrong value in the file is told even while a variable covers it
    for source in (_from_file(file, problems), _from_environment()):
        entries |= source
        found |= {key: value for key, entry in source.items() if (value := _value(key, entry, problems)) is not None}
    if problems:
        raise ImproperlyConfigured("Pipekit cannot start; its configuration is wrong.\n" + "\n".join(problems))
    # in the file it is meant from where the file is
    written = "data_dir" in entries and entries["data_dir"].where not in VARIABLES
    data_dir = _absolute(found.get("data_dir", "var"), file.parent if written else BASE_DIR)
    return _assembled(found, data_dir, file)


def origins() -> dict[str, str]:
    """Return where each key is set: a variable's name, or the file with its line; empty where its default holds."""
    problems: list[str] = []
    entries = {**_from_file(_config_file(problems), problems), **_from_environment()}
    return {key: entries[key].where if key in entries else "" for key in _KEYS}


def _config_file(problems: list[str]) -> Path:
    if "PIPEKIT_CONFIG" in _ENV.ENVIRON:
        file = _absolute(_ENV.ENVIRON["PIPEKIT_CONFIG"], BASE_DIR)
        if not file.is_file():
            problems.append(f"  PIPEKIT_CONFIG: there is no file {file}; expected the path of a YAML file.")
        return file
    return _absolute(_ENV.ENVIRON.get("PIPEKIT_DATA_DIR") or "var", BASE_DIR) / "config.yaml"


def _from_file(file: Path, problems: list[str]) -> dict[str, Entry]:
    try:
        return read(file, known=frozenset(_KEYS), problems=problems) if file.is_file() else {}
    except OSError as error:
        problems.append(f"  {file} cannot be read: {error.strerror}.")
        return {}


def _from_environment() -> dict[str, Entry]:
    return {
        key: Entry(value=_ENV.ENVIRON[name], where=name)
        for key, (_, names) in _KEYS.items()
        for name in names
        if name in _ENV.ENVIRON
    }


def _value(key: str, entry: Entry, problems: list[str]) -> Any:
    read_value = _KEYS[key][0]
    try:
        return read_value(_unproxied(entry))
    except values.Unexpected as expected:
        shown = "its value (not shown)" if key in _PRIVATE else f"{entry.value!r}"
        problems.append(f"  {key}, set in {entry.where}: expected {expected}; found {shown}.")
        return None


def _unproxied(entry: Entry) -> Any:
    """Read a variable through django-environ, which takes a leading ``$`` for another variable's name: refused here."""
    if entry.where not in VARIABLES:
        return entry.value
    if str(entry.value).startswith("$"):
        raise values.Unexpected("a value, not a $reference (references are for passwords of connections)")
    return _ENV.str(entry.where)


def _assembled(found: dict[str, Any], data_dir: Path, file: Path) -> Config:
    simple = {
        key: found[key]
        for key in ("api_port", "allowed_hosts", "debug", "tls", "secret_environment", "webhook_private")
        if key in found
    }
    names = {"smtp.host": "host", "smtp.port": "port", "smtp.from": "sender", "smtp.to": "to"}
    jrunner = str(found.get("jrunner_path", ""))
    return Config(
        data_dir=data_dir,
        database=_database(str(found.get("database", "pipekit.db")), data_dir),
        driver_dir=_absolute(str(found.get("driver_dir", "drivers")), data_dir),
        secrets_file=_absolute(str(found.get("secrets_file", "secrets.env")), data_dir),
        file_roots=tuple(_absolute(root, data_dir) for root in found.get("file_roots", ())),
        # a bare program name is looked up on PATH, anything else is a file
        jrunner_path=str(_absolute(jrunner, data_dir)) if "/" in jrunner else jrunner,
        smtp=Smtp(**{name: found[key] for key, name in names.items() if key in found}),
        config_file=file,
        **simple,
    )


def _database(value: str, data_dir: Path) -> str:
    if value.startswith("sqlite:"):
        value = str(environ.Env.db_url_config(value)["NAME"])
    return value if "://" in value else str(_absolute(value, data_dir))


def _absolute(value: str, home: Path) -> Path:
    # normpath, not resolve: a link stays the name the operator gave
    return Path(environ.Path(str(home))(str(Path(value).expanduser())))
