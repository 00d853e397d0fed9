"""Finds the module or group that a command names; otherwise the command fails, with the closest name as the hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from connections.management.base import CommandFailed
from connections.management.exit_codes import ExitCode
from modules.models import Group, Module


def find_module(name: str) -> Module:
    """Return the module with its connections. Raises CommandFailed if there is none."""
    if (module := Module.objects.with_connections().filter(name=name).first()) is None:
        raise not_found("module", name, Module.objects.values_list("name", flat=True))
    return module


def find_group(name: str) -> Group:
    """Return the group. Raises CommandFailed if there is none."""
    if (group := Group.objects.filter(name=name).first()) is None:
        raise not_found("group", name, Group.objects.values_list("name", flat=True))
    return group


def not_found(what: str, name: str, names: Iterable[str]) -> CommandFailed:
    """Return the error for a name that does not exist, with the closest of ``names`` as the hint."""
    message = f"There is no {what} “{name}”."
    if other := _other_kind(what, name):
        message, hint = f"{message} {other[0]}", other[1]
    else:
        matches = difflib.get_close_matches(name, list(names), n=1)
        hint = f"Did you mean “{matches[0]}”?" if matches else "The admin and exportconfig list the names."
    return CommandFailed(message, hint=hint, code="not_found", returncode=ExitCode.NOT_FOUND)


def _other_kind(what: str, name: str) -> tuple[str, str] | None:
    """Return message and hint if the name is that of a group instead of a module, or the reverse."""
    if what == "module" and Group.objects.filter(name=name).exists():
        return (
            "It is a group.",
            f"manage.py rungroup {name} runs its modules, manage.py verifygroup {name} verifies them.",
        )
    if what == "group" and Module.objects.filter(name=name).exists():
        return "It is a module.", f"manage.py runmodule {name} runs it, manage.py verifymodule {name} verifies it."
    return None
