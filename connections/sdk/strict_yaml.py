"""Strict YAML reader: `compose` is the parser of every YAML file, `read` takes the keys of manifests one by one.

Errors name the line, so a library that turns a whole document into objects would not do: msgspec and pydantic report
keys without lines, and parse YAML by PyYAML as well.
"""

from __future__ import annotations

import codecs
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


class NotYaml(ValueError):
    """The text is not valid YAML: ``problem`` in ``line``. It does not quote the text, which may contain a password."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line, self.problem = line, problem


class NotUtf8(NotYaml):
    """The bytes are not text in UTF-8, nor in UTF-16 with a byte order mark."""


def compose(data: bytes, loader: Any = _LOADER) -> yaml.Node | None:
    """Return the root node of the only document, None if there is none. Raises NotYaml."""
    try:
        marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8(data.count(b"\n", 0, error.start) + 1, "this line is not UTF-8") from None
    try:
        composer = loader(text)
        try:
            node: yaml.Node | None = composer.get_single_node()
            return node
        finally:
            composer.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYaml(line, f"character {error.character:#x} is not allowed in it") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = str(getattr(error, "problem", None) or "a value that cannot be read")
        if "tag" in problem:
            # PyYAML repeats the tag, which may be a password that begins with "!"
            problem = "tags are not allowed; quote a text that begins with !"
        raise NotYaml(mark.line + 1 if mark else 1, problem) from None


def read(path: Path) -> Fields:
    """Return the mapping in the file ``path``. Raises ConfigurationInvalid with ``file:line`` and what was expected."""
    try:
        node = compose(path.read_bytes())
    except (OSError, NotUtf8) as error:
        raise ConfigurationInvalid(
            f"{path} cannot be read.", hint="Check that the file exists and is UTF-8 text.", detail=str(error)
        ) from None
    except NotYaml as error:
        raise ConfigurationInvalid(f"{path}:{error.line}: this is not valid YAML.", detail=error.problem) from None
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
