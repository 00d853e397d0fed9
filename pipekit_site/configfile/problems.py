"""Errors of a configuration file: all findings with their lines, reported together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from connections.sdk.errors import ConfigurationInvalid

# characters of the file's text that a message repeats
_MAX_TEXT = 80
# names that a message lists
_MAX_NAMES = 30


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One error, with its line."""

    line: int
    # the dotted path of the key, such as modules.qcrh.merge_key; empty for the file itself
    where: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: " + (f"{self.where}: " if self.where else "") + self.message


class FileInvalid(ConfigurationInvalid):
    """The file has errors, so nothing was imported. The message lists all findings."""

    def __init__(self, name: str, findings: Iterable[Finding], *, hint: str = "") -> None:
        self.findings = tuple(sorted(set(findings)))
        count = "one error" if len(self.findings) == 1 else f"{len(self.findings)} errors"
        listed = "\n".join(f"  {name}, {finding}" for finding in self.findings)
        super().__init__(f"{name} has {count}; nothing was imported.\n{listed}", hint=hint)


@dataclass(slots=True)
class Findings:
    """Collects the findings of one file."""

    items: list[Finding] = field(default_factory=list)

    def add(self, node: yaml.Node, where: str, message: str) -> None:
        """Add an error at the node's line; ``where`` is the dotted path of the key."""
        self.items.append(Finding(line=node.start_mark.line + 1, where=where, message=message))


def suggest(given: str, known: Iterable[str]) -> str:
    """Return a text that lists the known names, at most ``_MAX_NAMES`` of them, and suggests the closest one."""
    names = list(known)
    close = difflib.get_close_matches(given[:_MAX_TEXT], names, n=1)
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    expected = f"expected one of {', '.join(names[:_MAX_NAMES])}{more}" if names else "there are none"
    return f"{expected}; did you mean {close[0]}?" if close else f"{expected}."


def printable(given: str) -> str:
    """Return a text of the file for use in a message: on one line, truncated if long."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in given)
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}…"
