"""A connection's options against what its connector's manifest declares; secret ones are `$NAME` references too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connections import registry
from connections.sdk.parameters import Parameter

# JSON's types as Python has them; a truth value is no number
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def problems(options: Any, kind: str, *, reference: str) -> Iterator[str]:
    """Yield what is wrong with the options; a value is never repeated, for it may be a secret."""
    if not isinstance(options, dict):
        yield 'Options are a JSON object such as {"create": true}.'
        return
    declared = {parameter.name: parameter for parameter in registry.manifest(kind).parameters}
    known = ", ".join(sorted(declared)) or "none at all"
    for name in options:
        if name not in declared:
            yield f"“{name}” is not an option of {kind}, which knows {known}."
        else:
            yield from _wrong(declared[name], options[name], reference)
    for name, parameter in declared.items():
        if parameter.required and name not in options:
            yield f"The option “{name}” is needed: {parameter.description}"


def _wrong(parameter: Parameter, value: Any, reference: str) -> Iterator[str]:
    if parameter.secret and not (isinstance(value, str) and re.search(reference, value)):
        yield f"The option “{parameter.name}” is a secret: write a reference such as $API_TOKEN to the secrets file."
    elif not isinstance(value, _TYPES[parameter.type]) or (isinstance(value, bool) and parameter.type != "boolean"):
        yield f"The option “{parameter.name}” takes {_article(parameter.type)}: {parameter.description}"
    elif parameter.choices and value not in parameter.choices:
        yield f"The option “{parameter.name}” is one of {', '.join(parameter.choices)}."


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeio" else f"a {word}"


def resolved(options: Mapping[str, Any], kind: str, resolve: Callable[[str], str]) -> dict[str, Any]:
    """Return the options with the values of secret ones in place of their references."""
    secret = {parameter.name for parameter in registry.manifest(kind).parameters if parameter.secret}
    return {name: resolve(value) if name in secret else value for name, value in options.items()}
