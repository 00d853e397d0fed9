"""Parser for a connector's manifest, ``connector.yaml``: its name, capabilities and parameters.

Unknown keys, missing keys and values of the wrong type are refused with file and line. See `Manifest` for the keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connections.sdk.capabilities import Cap
from connections.sdk.parameters import Parameter
from connections.sdk.strict_yaml import Fields, Value, read

AUTH_TYPES = ("none", "basic", "token", "oauth", "service_account")
OPTION_TYPES = ("string", "integer", "number", "boolean", "object", "array")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """The declaration of an environment variable that holds a credential; never contains the value."""

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
class Manifest:
    """The manifest of one connector.

    ``name`` is the connector's kind, ``title`` its name in the user interface, ``entrypoint`` the path of its code
    (``package.module:NAME``), ``capabilities`` what is implemented. ``parameters`` are the keys of a connection's
    ``options``. ``class_name`` and ``maven`` name the JDBC driver and are empty where JDBC is not used;
    ``default_port`` is None for files.
    """

    name: str
    title: str
    version: str
    description: str
    entrypoint: str
    capabilities: Cap
    auth_type: str = "none"
    env_vars: tuple[EnvVar, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    url_template: str = ""
    default_port: int | None = None
    class_name: str = ""
    maven: str = ""
    health_check: HealthCheck | None = None


def load(path: Path) -> Manifest:
    """Return the manifest in ``path``. Raises ConfigurationInvalid with ``file:line`` and what was expected."""
    return _manifest(read(path))


def _manifest(top: Fields) -> Manifest:
    auth = top.optional("auth", Value.fields)
    config = top.optional("config", Value.fields)
    manifest = Manifest(
        name=top.required("name", Value.text),
        title=top.required("title", Value.text),
        version=top.required("version", lambda value: value.matching(r"\d+\.\d+\.\d+", "a version such as 1.0.0")),
        description=top.required("description", Value.text),
        entrypoint=top.required("entrypoint", lambda value: value.matching(r"\w+(\.\w+)*:\w+", "package.module:NAME")),
        capabilities=top.required("capabilities", _capabilities),
        auth_type=auth.required("type", lambda value: value.one_of(AUTH_TYPES)) if auth else "none",
        env_vars=auth.optional("env_vars", lambda value: tuple(map(_env_var, value.items()))) or () if auth else (),
        parameters=_parameters(config) if config else (),
        url_template=top.optional("url_template", Value.text) or "",
        default_port=top.optional("default_port", Value.integer),
        class_name=top.optional("class_name", lambda value: value.matching(r"\w+(\.\w+)+", "a Java class")) or "",
        maven=top.optional("maven", lambda value: value.matching(r"[\w.-]+(:[\w.-]+){2}", "group:artifact:version"))
        or "",
        health_check=top.optional("health_check", _health_check),
    )
    for fields in (top, auth, config):
        if fields:
            fields.end()
    return manifest


def _capabilities(value: Value) -> Cap:
    names = [name.one_of(tuple(str(cap.name).lower() for cap in Cap)) for name in value.items()]
    return Cap.from_names(names)


def _env_var(value: Value) -> EnvVar:
    fields = value.fields()
    env_var = EnvVar(
        name=fields.required("name", lambda name: name.matching(r"[A-Z][A-Z0-9_]*", "a name such as API_TOKEN")),
        description=fields.required("description", Value.text),
        required=fields.optional("required", Value.flag) or False,
    )
    fields.end()
    return env_var


def _health_check(value: Value) -> HealthCheck:
    fields = value.fields()
    headers = fields.optional("headers", Value.fields)
    health_check = HealthCheck(
        # a path without a host: requests go only to the host of the connection
        endpoint=fields.required("endpoint", lambda text: text.matching(r"/(?!/)[^\s]*", "a path such as /health")),
        method=fields.optional("method", lambda text: text.one_of(("GET", "HEAD", "POST"))) or "GET",
        headers=tuple((name, headers.required(name, Value.text)) for name in headers.names()) if headers else (),
        expect_status=fields.optional("expect_status", Value.integer) or 200,
        timeout=float(fields.optional("timeout", Value.integer) or 10),
    )
    fields.end()
    return health_check


def _parameters(config: Fields) -> tuple[Parameter, ...]:
    """Return the parameters declared by a flat JSON Schema object with ``properties`` and ``required``."""
    config.required("type", lambda value: value.one_of(("object",)))
    properties = config.optional("properties", Value.fields)
    required_items = config.optional("required", Value.items) or []
    names = properties.names() if properties else ()
    required = {item.one_of(names) for item in required_items}
    if properties is None:
        return ()
    return tuple(_parameter(name, properties.required(name, Value.fields), required=name in required) for name in names)


def _parameter(name: str, fields: Fields, *, required: bool) -> Parameter:
    kind = fields.required("type", lambda text: text.one_of(OPTION_TYPES))
    parameter = Parameter(
        name=name,
        type=kind,
        description=fields.required("description", Value.text),
        secret=fields.optional("secret", Value.flag) or False,
        required=required,
        default=fields.optional("default", lambda default: default.plain(kind)),
        choices=tuple(item.text() for item in fields.optional("enum", Value.items) or ()),
    )
    fields.end()
    return parameter
