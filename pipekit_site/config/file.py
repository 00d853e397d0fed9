"""config.yaml as entries that remember their line. Unknown and repeated keys are problems, never ignored."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One configured value and where it stands: a variable's name, or the file with its line."""

    value: Any
    where: str


def read(file: Path, *, known: frozenset[str], problems: list[str]) -> dict[str, Entry]:
    """Return the file's entries by dotted key; what is wrong with it is added to ``problems``."""
    try:
        # it reads the beginning at once
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
        return _entries(node, _Place(file, loader, known, problems), prefix="")
    except yaml.YAMLError as error:
        problems.append(f"  {file}{_line(error)}: this is not YAML: {getattr(error, 'problem', None) or error}.")
        return {}
    finally:
        loader.dispose()


@dataclass(frozen=True, slots=True)
class _Place:
    file: Path
    loader: yaml.SafeLoader
    known: frozenset[str]
    problems: list[str]

    def at(self, node: yaml.Node) -> str:
        return f"{self.file}, line {node.start_mark.line + 1}"


def _entries(node: yaml.MappingNode, place: _Place, *, prefix: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        key = prefix + str(key_node.value)
        sections = {name.split(".")[0] for name in place.known if "." in name}
        if key in sections and isinstance(value_node, yaml.MappingNode):
            found.update(_entries(value_node, place, prefix=f"{key}."))
        elif key in sections and place.loader.construct_object(value_node) is not None:
            keys = ", ".join(name.split(".")[1] for name in sorted(place.known) if name.startswith(f"{key}."))
            place.problems.append(f"  {key}, set in {place.at(value_node)}: expected the keys {keys}.")
        elif key in found:
            place.problems.append(f"  {key}, set in {place.at(key_node)}: it is set twice; keep one.")
        elif key in place.known:
            _keep(found, key, place=place, node=value_node)
        elif key not in sections:
            place.problems.append(
                f"  {key}, set in {place.at(key_node)}: there is no such key; {_nearest(key, place.known)}"
            )
    return found


def _keep(found: dict[str, Entry], key: str, *, place: _Place, node: yaml.Node) -> None:
    value = place.loader.construct_object(node, deep=True)
    # a key without a value is left at its default, as if it were commented out
    if value is not None:
        found[key] = Entry(value=value, where=place.at(node))


def _nearest(key: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"the keys are {', '.join(sorted(known))}."


def _line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""
