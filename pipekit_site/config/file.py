"""Reads config.yaml into values with line numbers, for error messages. Unknown and repeated keys are errors."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml

from connections.sdk.records import dataclass
from connections.sdk.strict_yaml import NotUtf8, NotYaml, compose
from pipekit_site.config.values import ConfigValue


def read(file: Path, *, known: frozenset[str], problems: list[str]) -> dict[str, ConfigValue]:
    """Return the file's values by dotted key. Errors are added to ``problems``."""
    try:
        node = compose(file.read_bytes(), yaml.SafeLoader)
    except NotUtf8 as error:
        problems.append(f"  {file}: this is not text in UTF-8: {error}.")
        return {}
    except NotYaml as error:
        problems.append(f"  {file}, line {error.line}: this is not YAML: {error.problem}.")
        return {}
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        problems.append(f"  {file}, line 1: expected keys and values, such as api_port: 8100.")
        return {}
    return _values(node, _Context(file, known, problems), prefix="")


@dataclass(frozen=True, slots=True)
class _Context:
    """The file that is being read, its known keys, and the list of errors."""

    file: Path
    known: frozenset[str]
    problems: list[str]

    def at(self, node: yaml.Node) -> str:
        return f"{self.file}, line {node.start_mark.line + 1}"


def _values(node: yaml.MappingNode, context: _Context, *, prefix: str) -> dict[str, ConfigValue]:
    result: dict[str, ConfigValue] = {}
    for key_node, value_node in node.value:
        key = prefix + str(key_node.value)
        sections = {name.split(".")[0] for name in context.known if "." in name}
        if key in sections and isinstance(value_node, yaml.MappingNode):
            result.update(_values(value_node, context, prefix=f"{key}."))
        elif key in sections and _value(value_node, context) is not None:
            keys = ", ".join(name.split(".")[1] for name in sorted(context.known) if name.startswith(f"{key}."))
            context.problems.append(f"  {key}, set in {context.at(value_node)}: expected the keys {keys}.")
        elif key in result:
            context.problems.append(f"  {key}, set in {context.at(key_node)}: it is set twice; keep one.")
        elif key in context.known:
            _add(result, key, context=context, node=value_node)
        elif key not in sections:
            context.problems.append(
                f"  {key}, set in {context.at(key_node)}: there is no such key; {_suggestion(key, context.known)}"
            )
    return result


def _add(result: dict[str, ConfigValue], key: str, *, context: _Context, node: yaml.Node) -> None:
    value = _value(node, context)
    # a key without a value keeps its default, as if it were commented out
    if value is not None:
        result[key] = ConfigValue(value=value, where=context.at(node))


def _value(node: yaml.Node, context: _Context) -> Any:
    """Return the node's value; None, after adding an error, if its tag has none."""
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError):
        context.problems.append(f"  {context.at(node)}: this is not YAML: a value that cannot be read.")
        return None


def _suggestion(key: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"the keys are {', '.join(sorted(known))}."
