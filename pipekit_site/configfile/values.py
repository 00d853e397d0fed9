"""From a YAML node to what a field takes, or what was expected instead; repeats no value that could be a secret."""

from __future__ import annotations

import re
from typing import Any

import yaml
from django.db import models

from pipekit_site.configfile.document import entries, is_null, is_plain, kind
from pipekit_site.configfile.export import is_optional
from pipekit_site.configfile.problems import Findings, choose, shown

_YAML = yaml.SafeLoader("")
# what is not here stays the text that it is: JSON has no dates
_CONSTRUCT = {
    "int": _YAML.construct_yaml_int,
    "float": _YAML.construct_yaml_float,
    "bool": _YAML.construct_yaml_bool,
    "null": _YAML.construct_yaml_null,
}
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Unexpected(ValueError):
    """The node is not what the field takes; the text says what would be."""


def value(field: models.Field[Any, Any], node: yaml.Node) -> Any:
    """Return the field's value; for a foreign key the name of its target, or None."""
    if not is_plain(node):
        raise Unexpected("tags are not taken; expected a plain value.")
    if isinstance(field, models.JSONField):
        return _json_value(field, node)
    if is_null(node):
        return _nothing(field)
    if not isinstance(node, yaml.ScalarNode):
        raise Unexpected(f"expected {_expected(field)}, not a list or keys and values.")
    if isinstance(field, models.BooleanField):
        return _switch(node)
    if isinstance(field, models.IntegerField):
        return _number(node)
    return _choice(field, node.value) if field.choices else _text(node)


def _expected(field: models.Field[Any, Any]) -> str:
    if isinstance(field, models.ForeignKey):
        return f"the name of a {field.related_model._meta.verbose_name}"
    if isinstance(field, models.BooleanField):
        return "true or false"
    return "a whole number" if isinstance(field, models.IntegerField) else "a text"


def _nothing(field: models.Field[Any, Any]) -> Any:
    if field.null:
        return None
    if isinstance(field, models.CharField | models.TextField) and is_optional(field):
        return ""
    hint = "; leave the key out for its default" if field.has_default() or field.blank else ""
    raise Unexpected(f"expected {_expected(field)}, not null{hint}.")


def _text(node: yaml.ScalarNode) -> str:
    # numbers and dates as they are written: what they mean is the field's to say
    if "\0" in node.value:
        raise Unexpected("expected a text without NUL characters.")
    return str(node.value)


def _switch(node: yaml.ScalarNode) -> bool:
    if kind(node) != "bool" or node.value.lower() not in _WORDS:
        raise Unexpected("expected true or false.")
    return _WORDS[node.value.lower()]


def _number(node: yaml.ScalarNode) -> int:
    if kind(node) != "int" or not re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", node.value):
        raise Unexpected("expected a whole number.")
    return int(node.value)


def _choice(field: models.Field[Any, Any], given: str) -> str:
    words = [str(word) for word, _ in field.flatchoices]
    if given not in words:
        raise Unexpected(f"“{shown(given)}” is not known; {choose(given, words)}")
    return given


def _json_value(field: models.Field[Any, Any], node: yaml.Node) -> Any:
    if is_null(node):
        return None if field.null else field.get_default()
    findings = Findings()
    found = _json(node, findings)
    if findings.found:
        first = findings.found[0]
        raise Unexpected(f"{first.message} (line {first.line})")
    return found


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
        raise Unexpected("tags are not taken; expected a plain value.")
    try:
        found = _CONSTRUCT[kind(node)](node) if kind(node) in _CONSTRUCT else node.value
    except (ValueError, KeyError, yaml.YAMLError):
        raise Unexpected("expected a value that JSON knows too.") from None
    if found != found or found in (float("inf"), float("-inf")) or (isinstance(found, str) and "\0" in found):
        raise Unexpected("expected a value that JSON knows too: no infinity, no NaN, no NUL character.")
    return found
