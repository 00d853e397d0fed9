"""Reads config.yaml into values that know their line. Unknown and repeated keys are errors."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigValue:
    """A raw value, and where it is set: a variable's name, or the file and line."""

    value: Any
    where: str


def read(file: Path, *, known: frozenset[str], problems: list[str]) -> dict[str, ConfigValue]:
    """Return the file's values by dotted key. Errors are added to ``problems``."""
    try:
        # the constructor decodes the beginning of the file, so it may raise
        loader = yaml.SafeLoader(file.read_bytes())
    except yaml.YAMLError as error:
        problems.append(f"  {file}: this is not text in UTF-8: {getattr(error, 'reason', error)}.")
        return {}
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            problems.append(f"  {file}, line 1: expected keys and values, such as api_port: 8100.")
            return {}
        return _values(node, _Context(file, loader, known, problems), prefix="")
    except yaml.YAMLError as error:
        problems.append(f"  {file}{_line(error)}: this is not YAML: {getattr(error, 'problem', None) or error}.")
        return {}
    finally:
        loader.dispose()


@dataclass(frozen=True, slots=True)
class _Context:
    """The file that is being read, its known keys, and the list of errors."""

    file: Path
    loader: yaml.SafeLoader
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
        elif key in sections and context.loader.construct_object(value_node) is not None:
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
    value = context.loader.construct_object(node, deep=True)
    # a key without a value keeps its default, as if it were commented out
    if value is not None:
        result[key] = ConfigValue(value=value, where=context.at(node))


def _suggestion(key: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"the keys are {', '.join(sorted(known))}."


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""
