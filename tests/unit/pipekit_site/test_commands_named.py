"""Every command that a message, page or guide names exists, with the options and actions that it is named with."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("connections", "introspection", "modules", "pipekit_site", "runs", "scheduling")
SUFFIXES = frozenset({".py", ".html", ".txt", ".md", ".yaml", ".js", ".sql"})
# a command and what follows it in the text, up to the end of the command
_NAMED = re.compile(r"manage\.py ([a-z_]+)((?: +(?:--?[a-z][a-z-]*|[^\s`'\"”#|;,.()]+))*)")


def files() -> Iterator[Path]:
    yield ROOT / "README.md"
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*") if path.suffix in SUFFIXES)


@cache
def parser_of(command: str) -> argparse.ArgumentParser | None:
    app = get_commands().get(command)
    if app is None:
        # Django's command line has two more of its own
        return argparse.ArgumentParser() if command in ("help", "version") else None
    loaded = load_command_class(app, command) if isinstance(app, str) else app
    return loaded.create_parser("manage.py", command)


def unknown(text: str) -> list[str]:
    """Return the commands in a text that do not exist, or not with what follows them."""
    found = []
    for name, rest in _NAMED.findall(text):
        parser = parser_of(name)
        if parser is None:
            found.append(f"manage.py {name}")
            continue
        found += [f"manage.py {name} {word}" for word in _unknown_words(parser, rest.split())]
    return found


def _unknown_words(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[str]:
    parsers = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and words:
            if not words[0].startswith(("-", "{")) and words[0].islower() and words[0] not in action.choices:
                yield words[0]
            parsers += action.choices.values()
    options = {option for each in parsers for option in each._option_string_actions}
    yield from (word for word in words if word.startswith("--") and word not in options)


def test_every_named_command_exists_with_its_options() -> None:
    texts = {path.relative_to(ROOT): path.read_text() for path in files()}
    assert len(texts) > 300
    found = {str(path): names for path, text in texts.items() if (names := unknown(text))}
    assert found == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("manage.py drivers install", ["manage.py drivers"]),
        ("run `manage.py runmodule qcrh --drily`", ["manage.py runmodule --drily"]),
        ("manage.py secrets forget DW_PW", ["manage.py secrets forget"]),
        ("manage.py secrets set DW_PW, or manage.py runmodule qcrh --force.", []),
    ],
)
def test_commands_options_and_actions_that_do_not_exist_are_found(text: str, names: list[str]) -> None:
    assert unknown(text) == names
