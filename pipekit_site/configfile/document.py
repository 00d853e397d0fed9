"""Parses a configuration file to YAML nodes with line numbers. No tags, anchors, aliases or repeated keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from connections.sdk import strict_yaml
from pipekit_site.configfile.problems import FileInvalid, Finding, Findings, printable

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 30
# enough for some thousand modules; a file of only commas would take minutes to parse
MAX_NODES = 200_000
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key and its value, with ``where``, the dotted path of the key."""

    key: yaml.ScalarNode
    node: yaml.Node
    where: str


class _Loader(yaml.SafeLoader):
    """Composes nodes. Raises MarkedYAMLError for anchors and aliases, and beyond the limits of depth and size."""

    depth = 0
    count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases (& and *) are not allowed; quote a text that begins with & or *",
                problem_mark=event.start_mark,
            )
        self.count += 1
        if self.depth > MAX_DEPTH or self.count > MAX_NODES:
            problem = "this is nested too deeply" if self.depth > MAX_DEPTH else "there are too many values"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def compose(data: bytes, name: str) -> yaml.MappingNode:
    """Return the root mapping. Raises FileInvalid if the file is not valid YAML, is too large, or has no keys."""
    if len(data) > MAX_BYTES:
        raise FileInvalid(name, [_at(1, f"The file is larger than {MAX_BYTES // 1024 // 1024} MB.")])
    try:
        node = strict_yaml.compose(data, _Loader)
    except strict_yaml.NotYaml as error:
        hint = "Save the file as UTF-8, and import it again." if isinstance(error, strict_yaml.NotUtf8) else ""
        finding = _at(error.line, f"this is not valid YAML: {error.problem}.")
        raise FileInvalid(name, [finding], hint=hint) from None
    if not isinstance(node, yaml.MappingNode):
        raise FileInvalid(name, [_at(1, "expected version: 1 and sections such as connections and modules.")])
    return node


def entries(node: yaml.MappingNode, where: str, findings: Findings) -> dict[str, Entry]:
    """Return the entries of a mapping by key, in order. Invalid and repeated keys are added to ``findings``."""
    result: dict[str, Entry] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or not is_plain(key):
            findings.add(key, where, "expected a text as the key.")
            continue
        if not key.value:
            findings.add(key, where, "expected a name as the key, not an empty text.")
            continue
        path = f"{where}.{printable(key.value)}" if where else printable(key.value)
        if key.value in result:
            first = result[key.value].key.start_mark.line + 1
            findings.add(key, path, f"this key is repeated, first in line {first}; keep one.")
            continue
        result[key.value] = Entry(key=key, node=value, where=path)
    return result


def is_plain(node: yaml.Node) -> bool:
    """Return whether the node is a string, number, boolean, date, list or mapping, without a custom tag."""
    names = {"str", "int", "float", "bool", "null", "timestamp", "value", "merge", "seq", "map"}
    return node.tag.startswith(_TAG) and node.tag.removeprefix(_TAG) in names


def tag(node: yaml.Node) -> str:
    """Return the short name of the node's YAML type, such as ``int``."""
    return str(node.tag).removeprefix(_TAG)


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and tag(node) == "null"


def _at(line: int, message: str) -> Finding:
    return Finding(line=line, where="", message=message)
