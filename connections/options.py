"""Validates a connection's options against its connector's manifest, and resolves the secret ones.

The value of a secret option is a `$NAME` reference, like a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connections import registry
from connections.sdk.parameters import REFERENCE, ConnectionParameters, Parameter

# JSON types and their Python types; a bool is an int in Python, so _invalid excludes it
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def problems(options: Any, kind: str) -> Iterator[str]:
    """Yield an error message per problem. Values are never repeated, as they may be secrets."""
    if not isinstance(options, dict):
        yield 'Options must be a JSON object such as {"create": true}.'
        return
    declared = {parameter.name: parameter for parameter in registry.manifest(kind).parameters}
    known = ", ".join(sorted(declared)) or "none"
    for name in options:
        if name not in declared:
            yield f"“{name}” is not an option of {kind}. Its options: {known}."
        else:
            yield from _invalid(declared[name], options[name])
    for name, parameter in declared.items():
        if parameter.required and name not in options:
            yield f"The option “{name}” is required: {parameter.description}"


def _invalid(parameter: Parameter, value: Any) -> Iterator[str]:
    if parameter.secret and not (isinstance(value, str) and re.search(REFERENCE, value)):
        yield f"The option “{parameter.name}” is a secret: write a reference such as $API_TOKEN, not the value."
    elif not isinstance(value, _TYPES[parameter.type]) or (isinstance(value, bool) and parameter.type != "boolean"):
        yield f"The option “{parameter.name}” must be {_with_article(parameter.type)}: {parameter.description}"
    elif parameter.choices and value not in parameter.choices:
        yield f"The option “{parameter.name}” must be one of {', '.join(parameter.choices)}."


def _with_article(word: str) -> str:
    return f"an {word}" if word[0] in "aeio" else f"a {word}"


def target_names(kind: str) -> tuple[str, ...]:
    """Return the options that decide where secrets are sent, or how they are protected on the way."""
    return tuple(parameter.name for parameter in registry.manifest(kind).parameters if parameter.target)


def secret_values(parameters: ConnectionParameters) -> tuple[str, ...]:
    """Return the values that must not be shown or logged: the password, and the secret options."""
    declared = registry.manifest(parameters.kind).parameters
    options = (parameters.options.get(parameter.name) for parameter in declared if parameter.secret)
    return tuple(value for value in (parameters.password, *options) if value and isinstance(value, str))


def resolve_secrets(options: Mapping[str, Any], kind: str, resolve: Callable[[str], str]) -> dict[str, Any]:
    """Return the options with the references of secret ones replaced by ``resolve(reference)``.

    Of a kind that is not installed any more, those count as secret that look like references.
    """
    if registry.is_installed(kind):
        secret = {parameter.name for parameter in registry.manifest(kind).parameters if parameter.secret}
    else:
        secret = {name for name, value in options.items() if isinstance(value, str) and re.search(REFERENCE, value)}
    return {name: resolve(value) if name in secret else value for name, value in options.items()}
