"""`manage.py help`: Pipekit's commands by topic, one line each, then the names of Django's commands."""

from __future__ import annotations

import gc
import sys
import textwrap
from difflib import get_close_matches
from typing import Any, NoReturn

from django.core.management import ManagementUtility, get_commands

from connections.management.base import error_text
from connections.management.exit_codes import ExitCode
from pipekit_site.metadata.migrate import own_apps

_SECTIONS = {
    "Get started": ["demo", "serve", "doctor", "createsuperuser", "changepassword"],
    "Configure": ["importconfig", "exportconfig", "secrets", "testconnection"],
    "Run": ["runmodule", "rungroup", "runs", "runlog", "cancelrun"],
    "Verify": ["verifymodule", "verifygroup"],
    "Schedule": ["schedule", "installcron", "uninstallcron", "tick", "scheduler"],
    "Maintain": ["check", "backup", "prune", "notify", "unlocklogins"],
}
# started by Pipekit, never by hand
_INTERNAL = ("carryout",)
# replace Django's own help of these commands
_HELP = {
    "createsuperuser": "Create the first user of the admin.",
    "changepassword": "Change a user's password.",
}
_WIDTH = 100


class CommandLine(ManagementUtility):
    """Django's command line with Pipekit's main help."""

    def fetch_command(self, subcommand: str) -> Any:
        """Return the command, and enable the garbage collection, which is disabled while modules are imported."""
        if self.settings_exception is None and subcommand not in get_commands():
            self._refuse(subcommand)
        command = super().fetch_command(subcommand)
        # modules live as long as the process, and a run imports more of them
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()
        return command

    def _refuse(self, name: str) -> NoReturn:
        """Report an unknown command in the form of all errors."""
        close = get_close_matches(name, get_commands(), n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        error = {"code": "usage", "message": f"There is no command “{name}”."}
        error["hint"] = f"{hint}{self.prog_name} help lists all commands."
        sys.stderr.write(f"{error_text(error)}\n")
        sys.exit(ExitCode.FAILED)

    def main_help_text(self, commands_only: bool = False) -> str:
        if commands_only or self.settings_exception is not None:
            return super().main_help_text(commands_only)
        own = [name for name, app in get_commands().items() if app in own_apps() and name not in _INTERNAL]
        known = {name for names in _SECTIONS.values() for name in names}
        sections = {**_SECTIONS, "More": sorted(set(own) - known)}
        lines = ["", f"Type '{self.prog_name} help COMMAND' for help on a command."]
        width = max(map(len, [*own, *known]))
        for title, names in sections.items():
            if names:
                lines += ["", f"{title}:", *(f"  {name:<{width}}  {self._line(name)}" for name in names)]
        others = sorted(set(get_commands()) - set(own) - known - set(_INTERNAL))
        lines += ["", "Commands of Django and libraries, seldom needed:"]
        lines += textwrap.wrap(", ".join(others), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        lines += ["", f"Pipekit starts {' and '.join(_INTERNAL)} by itself, to execute what is queued."]
        return "\n".join(lines)

    def _line(self, name: str) -> str:
        """Return the first sentence of the command's help."""
        text = _HELP.get(name) or str(self.fetch_command(name).help)
        return textwrap.shorten(f"{text.partition('. ')[0].rstrip('.')}.", _WIDTH, placeholder=" ...")
