"""Strict YAML reader: keys are taken one by one, and every error names the file and line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from connections.sdk.errors import ConfigurationInvalid

T = TypeVar("T")
_PYTHON = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
# the C parser is faster, and manifests are read at each start of a process
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> Fields:
    """Return the mapping in the file ``path``. Raises ConfigurationInvalid with ``file:line`` and what was expected."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(
            f"{path} cannot be read.", hint="Check that the file exists and is UTF-8 text.", detail=str(error)
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ConfigurationInvalid(f"{path}:{line}: this is not valid YAML.", detail=str(error)) from None
    if node is None:
        raise ConfigurationInvalid(f"{path}:1: the file is empty.", hint="Expected key: value lines.")
    return Value(path, node).fields()


class Value:
    """A YAML node. The methods return its value, or raise ConfigurationInvalid when it has another type."""

    def __init__(self, path: Path, node: yaml.Node) -> None:
        self.path = path
        self.node = node

    def refuse(self, what: str, expected: str) -> ConfigurationInvalid:
        """Return the error for this node, with its file and line."""
        line = self.node.start_mark.line + 1
        return ConfigurationInvalid(f"{self.path}:{line}: {what}.", hint=f"Expected {expected}.")

    def text(self) -> str:
        """Return the value as text; it must not be empty."""
        if not isinstance(self.node, yaml.ScalarNode) or not self.node.value.strip():
            raise self.refuse("this is not text", "text")
        return str(self.node.value).strip()

    def matching(self, pattern: str, expected: str) -> str:
        """Return the text, which must match ``pattern``."""
        if not re.fullmatch(pattern, self.text(), re.ASCII):
            raise self.refuse(f"“{self.text()}” does not fit", expected)
        return self.text()

    def one_of(self, words: tuple[str, ...]) -> str:
        """Return the text, which must be one of ``words``."""
        if self.text() not in words:
            raise self.refuse(f"“{self.text()}” is unknown", f"one of {', '.join(words) or 'none'}")
        return self.text()

    def integer(self) -> int:
        """Return an integer."""
        return int(self.plain("integer"))

    def flag(self) -> bool:
        """Return a boolean."""
        return bool(self.plain("boolean"))

    def items(self) -> list[Value]:
        """Return the items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.refuse("this is not a list", "a list")
        return [Value(self.path, item) for item in self.node.value]

    def plain(self, kind: str) -> Any:
        """Return the value as a Python object of the JSON Schema type ``kind``."""
        constructor = yaml.constructor.SafeConstructor()
        try:
            value = constructor.construct_document(self.node)
        except yaml.YAMLError:
            raise self.refuse("this value cannot be read", f"a value of type {kind}") from None
        if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind != "boolean"):  # type: ignore[arg-type]
            raise self.refuse("this value has another type", f"a value of type {kind}")
        return value

    def fields(self) -> Fields:
        """Return a mapping."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.refuse("this is not a mapping", "key: value lines")
        return Fields(self)


class Fields:
    """A mapping from which keys are taken one by one; `end` refuses the keys that are left."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self.left: dict[str, Value] = {}
        for key, node in value.node.value:
            name = Value(value.path, key)
            if name.text() in self.left:
                raise name.refuse(f"“{name.text()}” is given twice", "each key once")
            self.left[name.text()] = Value(value.path, node)
        self.known: list[str] = []

    def names(self) -> tuple[str, ...]:
        """Return the keys that were not taken yet."""
        return tuple(self.left)

    def required(self, name: str, read: Callable[[Value], T]) -> T:
        """Take the key ``name`` and return ``read`` of its value. Raises ConfigurationInvalid when it is missing."""
        if name not in self.left:
            raise self.value.refuse(f"“{name}” is missing", f"the key {name}")
        self.known.append(name)
        return read(self.left.pop(name))

    def optional(self, name: str, read: Callable[[Value], T]) -> T | None:
        """Take the key ``name`` and return ``read`` of its value, None when it is missing."""
        self.known.append(name)
        return read(self.left.pop(name)) if name in self.left else None

    def end(self) -> None:
        """Raise ConfigurationInvalid if a key was not taken."""
        for name, value in self.left.items():
            raise value.refuse(f"“{name}” is unknown", f"one of {', '.join(self.known)}")
