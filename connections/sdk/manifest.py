"""The manifest of a connector, ``connector.yaml``: the one declaration of a kind of system. Read by `manifest_yaml`.

Unknown keys, missing keys and values of the wrong type are refused with file and line. Keys (required ones first):

``name``
    The kind, lower-case letters, digits and ``_``. Equals the name of the folder, or of the entry point.
``title``, ``version``, ``description``
    Shown in the admin. The title is the driver's name, the version is ``1.2.3``, the description one sentence.
``entrypoint``
    The connector object, ``package.module:NAME``. Imported only by processes that connect. Required if there are
    capabilities.
``capabilities``
    A list of ``discover``, ``read`` and ``write``. Must equal the ``capabilities`` of the connector object.
    Empty: modules on this kind can be written and checked, but rows cannot be moved.
``auth``
    ``type`` is ``none``, ``basic``, ``token``, ``oauth`` or ``service_account``. ``env_vars`` lists the credentials
    (``name``, ``description``, ``required``): the first is the connection's password, each other one the secret option
    of the same name in lower case.
``url``
    How connections of this kind are addressed; see below. Without it, the kind cannot be configured.
``jdbc``
    The JDBC driver, if there is one: ``class`` and ``maven`` (``group:artifact:version``).
``config``
    A connection's options, as a JSON Schema object: ``type: object``, ``properties``, ``required``. A property has
    ``type``, ``description`` and optionally ``default``, ``enum``, ``secret`` (its value must be a ``$NAME`` reference)
    and ``target`` (it decides where, or how well protected, secrets are sent: after a change they are entered again).
    ``create`` is read by the engine too, which sets ``connect_timeout``, ``no_progress_timeout``, ``same_file`` and
    ``dry_run``: see `ConnectionParameters`.
``health_check``
    An HTTP request that the connection test makes: ``endpoint`` (a path on the connection's host), ``method``,
    ``headers``, ``expect_status``, ``timeout`` in seconds. ``${NAME}`` in a header is the credential of that name.

Keys of ``url``:

``expected``, ``template``
    The form as shown in error messages, and with ``{placeholders}`` as shown on the driver's page.
``form``
    The syntax: ``network`` (``prefix//host:port/database``), ``file`` (``prefix/path``) or ``https``
    (``https://host:port/path``; ``http://`` only for this machine). Without it, ``url_syntax.py`` beside the
    manifest has ``read(rest, prefix) -> ConnectionUrl`` and ``write(url) -> str``.
``prefixes``
    What a URL begins with, each ending in a colon; the first one is written. Not with ``form: https``, whose URLs do
    not tell their kind.
``suffixes``, ``plain_paths``
    File name endings that mean this kind, and whether a path without prefix is a URL of it.
``default_port``
    The port of a URL without one. Not for files.
``default_database``, ``database_properties``
    The database of a URL that names none, and the properties that name it where the URL's path does not.
``separator``
    What separates properties: ``&`` (then they begin with ``?``; the default) or ``;``.
``properties``, ``choices``
    The allowed properties by type of their values: ``boolean``, ``integer``, ``word``, ``list``, ``text``, ``zone``,
    ``path`` and ``mark`` (see `connections.url.property_check`). All others are refused: list none that makes a driver
    run SQL, load code, read or write files, or open another connection. ``choices`` limits a property to some values.
``target``
    Those of the properties that decide where, or how well protected, secrets are sent. Names that speak of TLS,
    certificates or authentication need not be listed.
``without_effect``
    Those of the properties that are accepted because URLs contain them, and otherwise ignored. The driver's page lists
    them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from connections.sdk.capabilities import Cap
from connections.sdk.parameters import Parameter
from connections.sdk.records import dataclass

AUTH_TYPES = ("none", "basic", "token", "oauth", "service_account")
OPTION_TYPES = ("string", "integer", "number", "boolean", "object", "array")
URL_FORMS = ("network", "file", "https")
# types of the values of URL properties
PROPERTY_TYPES = ("boolean", "integer", "word", "list", "text", "zone", "path", "mark")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """The declaration of a credential; never contains the value."""

    name: str
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """An HTTP request that succeeds while the system is healthy. ``endpoint`` is a path on the configured host."""

    endpoint: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: int = 200
    timeout: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlProperty:
    """A property that is allowed in URLs: the driver's spelling, its type, and the allowed values if not all."""

    name: str
    type: str
    choices: tuple[str, ...] = ()
    has_effect: bool = True
    # decides who can read or receive what is sent
    target: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRules:
    """The key ``url`` of a manifest. ``form`` is empty if the kind has a ``url_syntax.py``.

    ``properties`` maps names in lower case to the allowed properties.
    """

    expected: str
    template: str
    form: str = ""
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    plain_paths: bool = False
    default_port: int | None = None
    default_database: str = ""
    database_properties: tuple[str, ...] = ()
    separator: str = "&"
    properties: Mapping[str, UrlProperty] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JdbcDriver:
    """The key ``jdbc`` of a manifest: the Java class of the driver, and the Maven coordinate of its jar."""

    class_name: str
    maven: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest of one connector; the module's docstring describes the keys.

    ``name`` is the connector's kind, ``parameters`` are the options of ``config``. ``url`` and ``jdbc`` are None if the
    manifest does not have the key.
    """

    name: str
    title: str
    version: str
    description: str
    capabilities: Cap
    entrypoint: str = ""
    auth_type: str = "none"
    env_vars: tuple[EnvVar, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    url: UrlRules | None = None
    jdbc: JdbcDriver | None = None
    health_check: HealthCheck | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form, with which a process passes a manifest to its child."""
        return {**asdict(self), "capabilities": self.capabilities.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """Return the manifest that `as_json` represents. Raises KeyError or TypeError for any other value."""
        url, jdbc, health_check = data["url"], data["jdbc"], data["health_check"]
        return cls(
            **{
                **data,
                "capabilities": Cap(data["capabilities"]),
                "env_vars": tuple(EnvVar(**item) for item in data["env_vars"]),
                "parameters": tuple(Parameter(**{**item, **_tuples(item, "choices")}) for item in data["parameters"]),
                "url": url and _url_rules(url),
                "jdbc": jdbc and JdbcDriver(**jdbc),
                "health_check": health_check
                and HealthCheck(**{**health_check, "headers": tuple(map(tuple, health_check["headers"]))}),
            }
        )


def _url_rules(data: Mapping[str, Any]) -> UrlRules:
    properties = {
        name: UrlProperty(**{**item, **_tuples(item, "choices")}) for name, item in data["properties"].items()
    }
    return UrlRules(
        **{**data, **_tuples(data, "prefixes", "suffixes", "database_properties"), "properties": properties}
    )


def _tuples(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    # a process of an earlier version, which starts the jrunner of this one, does not know every key
    return {name: tuple(data.get(name, ())) for name in names}
