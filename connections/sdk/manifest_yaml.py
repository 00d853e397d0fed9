"""Reads and validates the manifest of a connector, whose keys `connections.sdk.manifest` describes."""

from __future__ import annotations

import re
from pathlib import Path

from connections.sdk.capabilities import Cap
from connections.sdk.manifest import (
    AUTH_TYPES,
    OPTION_TYPES,
    PROPERTY_TYPES,
    URL_FORMS,
    EnvVar,
    HealthCheck,
    JdbcDriver,
    Manifest,
    UrlProperty,
    UrlRules,
)
from connections.sdk.parameters import Parameter
from connections.sdk.strict_yaml import Fields, Value, read

# names of URL properties that decide who can read or receive what is sent, whether the manifest says so or not
_PROTECTION = re.compile(r"(?i).*(ssl|tls|encrypt|trust|secure|cert|authentication|publickey).*")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")


def load(path: Path) -> Manifest:
    """Return the manifest in ``path``. Raises ConfigurationInvalid with ``file:line`` and what was expected."""
    top = read(path)
    auth = top.optional("auth", Value.fields)
    config = top.optional("config", Value.fields)
    parameters = _parameters(config) if config else ()
    env_vars = auth.optional("env_vars", lambda value: _env_vars(value, parameters)) if auth else None
    manifest = Manifest(
        name=top.required("name", lambda value: value.matching(r"[a-z][a-z0-9_]*", "a name such as my_system")),
        title=top.required("title", Value.text),
        version=top.required("version", lambda value: value.matching(r"\d+\.\d+\.\d+", "a version such as 1.0.0")),
        description=top.required("description", Value.text),
        capabilities=top.required("capabilities", _capabilities),
        entrypoint=top.optional("entrypoint", lambda value: value.matching(r"\w+(\.\w+)*:\w+", "package.module:NAME"))
        or "",
        auth_type=auth.required("type", lambda value: value.one_of(AUTH_TYPES)) if auth else "none",
        env_vars=env_vars or (),
        parameters=parameters,
        url=top.optional("url", _url),
        jdbc=top.optional("jdbc", _jdbc),
        health_check=top.optional("health_check", lambda value: _health_check(value, env_vars or ())),
    )
    for fields in (top, auth):
        if fields:
            fields.end()
    if manifest.capabilities and not manifest.entrypoint:
        raise top.value.refuse("“entrypoint” is missing", "the key entrypoint, as there are capabilities")
    return manifest


def _capabilities(value: Value) -> Cap:
    names = [name.one_of(tuple(str(cap.name).lower() for cap in Cap)) for name in value.items()]
    return Cap.from_names(names)


def _env_vars(value: Value, parameters: tuple[Parameter, ...]) -> tuple[EnvVar, ...]:
    """Return the credentials; each but the first must have a secret option of its name in lower case."""
    secret = {parameter.name for parameter in parameters if parameter.secret}
    env_vars = []
    for position, item in enumerate(value.items()):
        env_var = _env_var(item)
        if position and env_var.name.lower() not in secret:
            raise item.refuse(
                f"“{env_var.name}” has no secret option", f"the property {env_var.name.lower()} in config, with secret"
            )
        env_vars.append(env_var)
    return tuple(env_vars)


def _env_var(value: Value) -> EnvVar:
    fields = value.fields()
    env_var = EnvVar(
        name=fields.required("name", lambda name: name.matching(r"[A-Z][A-Z0-9_]*", "a name such as API_TOKEN")),
        description=fields.required("description", Value.text),
        required=fields.optional("required", Value.flag) or False,
    )
    fields.end()
    return env_var


def _url(value: Value) -> UrlRules:
    fields = value.fields()
    form = fields.optional("form", lambda text: text.one_of(URL_FORMS)) or ""
    rules = UrlRules(
        expected=fields.required("expected", Value.text),
        template=fields.required("template", Value.text),
        form=form,
        prefixes=_texts(fields, "prefixes", r"[a-z][a-z0-9+.:-]*:", "a prefix such as jdbc:mysql:"),
        suffixes=_texts(fields, "suffixes", r"\.[a-z0-9]+", "the ending of a file name, such as .db"),
        plain_paths=fields.optional("plain_paths", Value.flag) or False,
        default_port=fields.optional("default_port", Value.integer),
        default_database=fields.optional("default_database", Value.text) or "",
        database_properties=_texts(fields, "database_properties", r"[A-Za-z_]+", "the name of a property"),
        separator=fields.optional("separator", lambda text: text.one_of(("&", ";"))) or "&",
        properties=_properties(fields),
    )
    fields.end()
    allowed = [declared.name for declared in rules.properties.values()]
    if unknown := [name for name in rules.database_properties if name not in allowed]:
        raise value.refuse(f"“{unknown[0]}” of database_properties is not allowed in the URL", "one of the properties")
    if (form == "https") == bool(rules.prefixes):
        raise value.refuse(
            "a URL needs prefixes or the form https", "prefixes, and none for https, whose URLs do not tell their kind"
        )
    return rules


def _texts(fields: Fields, name: str, pattern: str, expected: str) -> tuple[str, ...]:
    return tuple(item.matching(pattern, expected) for item in fields.optional(name, Value.items) or ())


def _properties(fields: Fields) -> dict[str, UrlProperty]:
    """Return the allowed properties by name in lower case."""
    by_type = fields.optional("properties", Value.fields)
    choices = fields.optional("choices", Value.fields)
    ignored = fields.optional("without_effect", Value.items) or []
    types: dict[str, str] = {}
    for type_name in PROPERTY_TYPES if by_type else ():
        for item in (by_type and by_type.optional(type_name, Value.items)) or ():
            if item.text().lower() in map(str.lower, types):
                raise item.refuse(f"the property “{item.text()}” is given twice", "each property once")
            types[item.text()] = type_name
    targets = {item.one_of(tuple(types)) for item in fields.optional("target", Value.items) or []}
    without_effect = {item.one_of(tuple(types)) for item in ignored}
    properties = {
        name.lower(): UrlProperty(
            name=name,
            type=type_name,
            choices=tuple(item.text() for item in (choices and choices.optional(name, Value.items)) or ()),
            has_effect=name not in without_effect,
            target=name in targets or _PROTECTION.fullmatch(name) is not None,
        )
        for name, type_name in types.items()
    }
    for left in (by_type, choices):
        if left:
            left.end()
    return properties


def _jdbc(value: Value) -> JdbcDriver:
    fields = value.fields()
    driver = JdbcDriver(
        class_name=fields.required("class", lambda text: text.matching(r"\w+(\.\w+)+", "a Java class")),
        maven=fields.required("maven", lambda text: text.matching(r"[\w.-]+(:[\w.-]+){2}", "group:artifact:version")),
    )
    fields.end()
    return driver


def _health_check(value: Value, env_vars: tuple[EnvVar, ...]) -> HealthCheck:
    fields = value.fields()
    headers = fields.optional("headers", Value.fields)
    names = tuple(env_var.name for env_var in env_vars)
    health_check = HealthCheck(
        # a path without a host: requests go only to the host of the connection
        endpoint=fields.required("endpoint", lambda text: text.matching(r"/(?!/)[^\s]*", "a path such as /health")),
        method=fields.optional("method", lambda text: text.one_of(("GET", "HEAD", "POST"))) or "GET",
        headers=tuple((name, headers.required(name, lambda text: _header(text, names))) for name in headers.names())
        if headers
        else (),
        expect_status=fields.optional("expect_status", Value.integer) or 200,
        timeout=float(fields.optional("timeout", Value.integer) or 10),
    )
    fields.end()
    return health_check


def _header(value: Value, names: tuple[str, ...]) -> str:
    for name in _PLACEHOLDER.findall(value.text()):
        if name not in names:
            raise value.refuse(f"${{{name}}} is not a credential", f"one of {', '.join(names) or 'none'}")
    return value.text()


def _parameters(config: Fields) -> tuple[Parameter, ...]:
    """Return the parameters declared by a flat JSON Schema object with ``properties`` and ``required``."""
    config.required("type", lambda value: value.one_of(("object",)))
    properties = config.optional("properties", Value.fields)
    required_items = config.optional("required", Value.items) or []
    config.end()
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
        target=fields.optional("target", Value.flag) or False,
        required=required,
        default=fields.optional("default", lambda default: default.plain(kind)),
        choices=tuple(item.text() for item in fields.optional("enum", Value.items) or ()),
    )
    fields.end()
    return parameter
