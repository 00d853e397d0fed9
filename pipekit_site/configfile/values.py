"""Converts a YAML node to the value of a model field. Errors never repeat values that could be secrets."""

from __future__ import annotations

import re
from typing import Any

import yaml
from django.db import models

from pipekit_site.configfile.document import entries, is_null, is_plain, tag
from pipekit_site.configfile.export import is_optional
from pipekit_site.configfile.problems import Findings, printable, suggest

_YAML = yaml.SafeLoader("")
# other types, such as dates, which JSON does not have, stay texts
_CONSTRUCT = {
    "int": _YAML.construct_yaml_int,
    "float": _YAML.construct_yaml_float,
    "bool": _YAML.construct_yaml_bool,
    "null": _YAML.construct_yaml_null,
}
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Unexpected(ValueError):
    """The node is not a valid value of the field; the message says what was expected."""


def value(field: models.Field[Any, Any], node: yaml.Node) -> Any:
    """Return the field's value; for a foreign key the name of its target, or None."""
    if not is_plain(node):
        raise Unexpected("tags are not allowed; expected a plain value.")
    if isinstance(field, models.JSONField):
        return _json_value(field, node)
    if is_null(node):
        return _null(field)
    if not isinstance(node, yaml.ScalarNode):
        raise Unexpected(f"expected {_expected(field)}, not a list or keys and values.")
    if isinstance(field, models.BooleanField):
        return _boolean(node)
    if isinstance(field, models.IntegerField):
        return _integer(node)
    return _choice(field, node.value) if field.choices else _text(node)


def _expected(field: models.Field[Any, Any]) -> str:
    if isinstance(field, models.ForeignKey):
        return f"the name of a {field.related_model._meta.verbose_name}"
    if isinstance(field, models.BooleanField):
        return "true or false"
    return "a whole number" if isinstance(field, models.IntegerField) else "a text"


def _null(field: models.Field[Any, Any]) -> Any:
    if field.null:
        return None
    if isinstance(field, models.CharField | models.TextField) and is_optional(field):
        return ""
    hint = "; leave the key out for its default" if field.has_default() or field.blank else ""
    raise Unexpected(f"expected {_expected(field)}, not null{hint}.")


def _text(node: yaml.ScalarNode) -> str:
    # numbers and dates stay as they are written; the field interprets them
    if "\0" in node.value:
        raise Unexpected("expected a text without NUL characters.")
    return str(node.value)


def _boolean(node: yaml.ScalarNode) -> bool:
    if tag(node) != "bool" or node.value.lower() not in _WORDS:
        raise Unexpected("expected true or false.")
    return _WORDS[node.value.lower()]


def _integer(node: yaml.ScalarNode) -> int:
    if tag(node) != "int" or not re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", node.value):
        raise Unexpected("expected a whole number.")
    return int(node.value)


def _choice(field: models.Field[Any, Any], given: str) -> str:
    words = [str(word) for word, _ in field.flatchoices]
    if given not in words:
        raise Unexpected(f"“{printable(given)}” is not known; {suggest(given, words)}")
    return given


def _json_value(field: models.Field[Any, Any], node: yaml.Node) -> Any:
    if is_null(node):
        return None if field.null else field.get_default()
    findings = Findings()
    result = _json(node, findings)
    if findings.items:
        first = findings.items[0]
        raise Unexpected(f"{first.message} (line {first.line})")
    return result


def _json(node: yaml.Node, findings: Findings) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_json(item, findings) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {key: _json(entry.node, findings) for key, entry in entries(node, "", findings).items()}
    try:
        return _scalar(node)
    except Unexpected as expected:
        findings.add(node, "", str(expected))
        return None


def _scalar(node: yaml.Node) -> Any:
    if not is_plain(node) or not isinstance(node, yaml.ScalarNode):
        raise Unexpected("tags are not allowed; expected a plain value.")
    try:
        result = _CONSTRUCT[tag(node)](node) if tag(node) in _CONSTRUCT else node.value
    except (ValueError, KeyError, yaml.YAMLError):
        raise Unexpected("expected a value that JSON can represent.") from None
    if result != result or result in (float("inf"), float("-inf")) or (isinstance(result, str) and "\0" in result):
        raise Unexpected("expected a value that JSON can represent: no infinity, no NaN, no NUL character.")
    return result
