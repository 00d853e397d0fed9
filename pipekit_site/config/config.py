"""Bootstrap configuration: reads config.yaml and PIPEKIT_* variables into a frozen Config, and reports all errors.

A variable overrides the file, the file the default. Relative paths are relative to the data directory, which is itself
relative to the file's directory (or to manage.py's), so that an installation can be copied or moved as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from connections.sdk.files.path_problem import path_problem
from connections.sdk.records import dataclass
from pipekit_site.config import values
from pipekit_site.config.values import ConfigValue

BASE_DIR = Path(__file__).resolve().parent.parent.parent
_ENV = environ.Env()

# key -> the reader of its value, and the variables that override it; each key is also a field of Config or Smtp
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
    "debug": (values.boolean, ("PIPEKIT_DEBUG",)),
    "tls": (values.boolean, ("PIPEKIT_TLS",)),
    "webhook_private": (values.boolean, ("PIPEKIT_WEBHOOK_PRIVATE",)),
    "smtp.host": (values.host, ("PIPEKIT_SMTP_HOST",)),
    "smtp.port": (values.port, ("PIPEKIT_SMTP_PORT",)),
    "smtp.from": (values.address, ("PIPEKIT_SMTP_FROM",)),
    "smtp.to": (values.addresses, ("PIPEKIT_SMTP_TO",)),
}
VARIABLES = tuple(sorted({"PIPEKIT_CONFIG", *(name for _, names in _KEYS.values() for name in names)}))
# readers of values that contain paths; the key is the attribute of the configuration
_PATHS = (values.path, values.path_or_nothing, values.paths, values.database)
# keys whose values may contain a password, so that messages never repeat them
_PRIVATE = frozenset({"database"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The mail server for notifications; disabled while ``host`` is empty."""

    host: str = ""
    port: int = 25
    sender: str = ""
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration that is needed before the database is open. Paths are absolute."""

    data_dir: Path
    # a SQLite file's absolute path, or a database URL
    database: str
    driver_dir: Path
    secrets_file: Path
    # the only directories for files of connections; empty: any but Pipekit's own
    file_roots: tuple[Path, ...] = ()
    # empty: the bundled jrunner
    jrunner_path: str = ""
    api_port: int = 8100
    allowed_hosts: tuple[str, ...] = ()
    debug: bool = False
    # served over HTTPS, by a proxy that terminates TLS
    tls: bool = False
    # the only variables that are read as secrets; None: all but the process's own and other programs' tokens
    secret_environment: tuple[str, ...] | None = None
    # whether webhooks may be sent to this machine and private networks
    webhook_private: bool = False
    smtp: Smtp = Smtp()
    # the path of config.yaml, whether or not it exists
    config_file: Path = Path()

    @property
    def log_dir(self) -> Path:
        """Return the directory of the logs of runs."""
        return self.data_dir / "logs"

    @property
    def is_sqlite(self) -> bool:
        """Return whether the metadata database is a SQLite file."""
        return "://" not in self.database

    def variables(self) -> dict[str, str]:
        """Return the variables that are set, with absolute paths, for a process with another directory."""
        variables = {
            raw.where: self._path(key) if _KEYS[key][0] in _PATHS else raw.value
            for key, raw in _from_environment().items()
        }
        return variables | ({"PIPEKIT_CONFIG": str(self.config_file)} if "PIPEKIT_CONFIG" in _ENV.ENVIRON else {})

    def _path(self, key: str) -> str:
        value = getattr(self, key)
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def load() -> Config:
    """Read the configuration. Raises ImproperlyConfigured with the place and the expected value of each invalid key."""
    problems: list[str] = []
    file = _config_file(problems)
    given: dict[str, ConfigValue] = {}
    settings: dict[str, Any] = {}
    # an invalid value in the file is reported even if a variable overrides it
    for source in (_from_file(file, problems), _from_environment()):
        given |= source
        settings |= {key: value for key, raw in source.items() if (value := _value(key, raw, problems)) is not None}
    if problems:
        raise ImproperlyConfigured("Pipekit cannot start; its configuration is invalid.\n" + "\n".join(problems))
    # a path in the file is relative to the file's directory
    is_in_file = "data_dir" in given and given["data_dir"].where not in VARIABLES
    data_dir = _absolute(settings.get("data_dir", "var"), file.parent if is_in_file else BASE_DIR)
    return _config(settings, data_dir, file)


def origins() -> dict[str, str]:
    """Return where each key is set: a variable's name, or the file and line; an empty string for its default."""
    problems: list[str] = []
    given = {**_from_file(_config_file(problems), problems), **_from_environment()}
    return {key: given[key].where if key in given else "" for key in _KEYS}


def _config_file(problems: list[str]) -> Path:
    if "PIPEKIT_CONFIG" in _ENV.ENVIRON:
        file = _absolute(_ENV.ENVIRON["PIPEKIT_CONFIG"], BASE_DIR)
        if not file.is_file():
            problem = path_problem(file)
            found = f"{file} {problem}" if problem else f"there is no file {file}"
            problems.append(f"  PIPEKIT_CONFIG: {found}; expected the path of a YAML file.")
        return file
    return _absolute(_ENV.ENVIRON.get("PIPEKIT_DATA_DIR") or "var", BASE_DIR) / "config.yaml"


def _from_file(file: Path, problems: list[str]) -> dict[str, ConfigValue]:
    try:
        if not file.is_file():
            # PIPEKIT_CONFIG has been reported; the file of the data directory need not exist
            if "PIPEKIT_CONFIG" not in _ENV.ENVIRON and (problem := path_problem(file)):
                problems.append(f"  {file} {problem}; expected a YAML file.")
            return {}
        # imported late: most installations have no file, and the YAML parser takes long to load
        from pipekit_site.config.file import read

        return read(file, known=frozenset(_KEYS), problems=problems)
    except OSError as error:
        problems.append(f"  {file} cannot be read: {error.strerror}.")
        return {}


def _from_environment() -> dict[str, ConfigValue]:
    return {
        key: ConfigValue(value=_ENV.ENVIRON[name], where=name)
        for key, (_, names) in _KEYS.items()
        for name in names
        if name in _ENV.ENVIRON
    }


def _value(key: str, raw: ConfigValue, problems: list[str]) -> Any:
    read_value = _KEYS[key][0]
    try:
        return read_value(_without_proxy(raw))
    except values.Unexpected as expected:
        shown = "its value (not shown)" if key in _PRIVATE else f"{raw.value!r}"
        problems.append(f"  {key}, set in {raw.where}: expected {expected}; found {shown}.")
        return None


def _without_proxy(raw: ConfigValue) -> Any:
    """Return the value; refuse one with a leading ``$``, which django-environ takes as another variable's name."""
    if raw.where not in VARIABLES:
        return raw.value
    if str(raw.value).startswith("$"):
        raise values.Unexpected("a value, not a $reference (references are for passwords of connections)")
    return _ENV.str(raw.where)


def _config(settings: dict[str, Any], data_dir: Path, file: Path) -> Config:
    simple = {key: value for key, value in settings.items() if "." not in key and _KEYS[key][0] not in _PATHS}
    names = {"smtp.host": "host", "smtp.port": "port", "smtp.from": "sender", "smtp.to": "to"}
    jrunner = str(settings.get("jrunner_path", ""))
    return Config(
        data_dir=data_dir,
        database=_database(str(settings.get("database", "pipekit.db")), data_dir),
        driver_dir=_absolute(str(settings.get("driver_dir", "drivers")), data_dir),
        secrets_file=_absolute(str(settings.get("secrets_file", "secrets.env")), data_dir),
        file_roots=tuple(_absolute(root, data_dir) for root in settings.get("file_roots", ())),
        # a bare program name is looked up on PATH, anything else is a path
        jrunner_path=str(_absolute(jrunner, data_dir)) if "/" in jrunner else jrunner,
        smtp=Smtp(**{name: settings[key] for key, name in names.items() if key in settings}),
        config_file=file,
        **simple,
    )


def _database(value: str, data_dir: Path) -> str:
    if value.startswith("sqlite:"):
        value = str(environ.Env.db_url_config(value)["NAME"])
    return value if "://" in value else str(_absolute(value, data_dir))


def _absolute(value: str, home: Path) -> Path:
    # normalised, not resolved: symbolic links stay as the operator wrote them
    return Path(environ.Path(str(home))(str(Path(value).expanduser())))
