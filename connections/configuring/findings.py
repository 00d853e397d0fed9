"""What is wrong with a configuration file: every finding with its line, reported together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from connections.sdk.errors import ConfigurationInvalid


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
    """Return `expected one of ...`, and the one that was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(given, names, n=1)
    expected = f"expected one of {', '.join(names)}" if names else "there are none"
    return f"{expected}; did you mean {close[0]}?" if close else f"{expected}."
