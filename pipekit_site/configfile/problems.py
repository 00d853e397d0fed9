"""What is wrong with a configuration file: every finding with its line, reported together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from connections.sdk.errors import ConfigurationInvalid

_LONGEST = 80
# names that a message lists
_MOST = 30


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    line: int
    # the dotted path of the key, such as modules.qcrh.merge_key; empty for the file itself
    where: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: " + (f"{self.where}: " if self.where else "") + self.message


class FileInvalid(ConfigurationInvalid):
    """A configuration file that was not taken; its message lists every finding."""

    def __init__(self, name: str, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        count = "one error" if len(self.findings) == 1 else f"{len(self.findings)} errors"
        listed = "\n".join(f"  {name}, {finding}" for finding in self.findings)
        super().__init__(f"{name} has {count}; nothing was imported.\n{listed}")


@dataclass(slots=True)
class Findings:
    """Collects findings while a file is read."""

    found: list[Finding] = field(default_factory=list)

    def add(self, node: yaml.Node, where: str, message: str) -> None:
        self.found.append(Finding(line=node.start_mark.line + 1, where=where, message=message))


def choose(given: str, known: Iterable[str]) -> str:
    """Return `expected one of ...`, and the one that was probably meant; of very many names only the first."""
    names = list(known)
    close = difflib.get_close_matches(given[:_LONGEST], names, n=1)
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    expected = f"expected one of {', '.join(names[:_MOST])}{more}" if names else "there are none"
    return f"{expected}; did you mean {close[0]}?" if close else f"{expected}."


def shown(given: str) -> str:
    """Return what a file says so that it can stand in a message: on one line, and not very long."""
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in given)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
