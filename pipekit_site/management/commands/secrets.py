"""`manage.py secrets`: set, list and check the secrets of `$NAME` references. Values are never arguments or shown."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.sdk.errors import ConfigurationInvalid
from connections.secrets.references import check_name, name_of, store
from pipekit_site.doctor import installation
from pipekit_site.doctor.checks import CHECKS, checks_as_json, run_checks


class Command(BaseCommand):
    help = "Set, list and check the secrets that connections refer to."
    # `check` reports their problem itself: a secrets file with the wrong mode
    requires_system_checks: list[str] = []

    error_exit_codes = {ConfigurationInvalid: ExitCode.USAGE}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        setting = actions.add_parser(
            "set", help="set a secret in the secrets file; the value is read from stdin, or prompted for"
        )
        setting.add_argument("name", metavar="NAME")
        # a value given as an argument, which is refused without repeating it
        setting.add_argument("rest", nargs="*", default=[], help=argparse.SUPPRESS)
        for name, text in {
            "list": "list the names of secrets, where each is set, and which connections use it",
            "check": "check that all used secrets are set, and the file's mode and lines; exit code 1 on failure",
        }.items():
            actions.add_parser(name, help=text).add_argument("--json", action="store_true")

    def handle(self, *, action: str, **options: Any) -> None:
        {"set": self._set, "list": self._list, "check": self._check}[action](options)

    def _set(self, options: dict[str, Any]) -> None:
        if options["rest"]:
            message = "The value cannot be an argument, which other users could read."
            raise CommandFailed(message, hint="Give it on stdin.", code="usage")
        check_name(options["name"])
        store().set(options["name"], _value(options["name"]))
        self.stderr.write(f"{options['name']} is set in {store().path}.")

    def _list(self, options: dict[str, Any]) -> None:
        users = {name_of(reference): names for reference, names in installation.used_secrets()}
        secrets = [
            {"name": name, "source": store().source(name) or None, "connections": users.get(name, [])}
            for name in sorted({*store().names(), *users})
        ]
        if options["json"]:
            self.stdout.write(json.dumps(secrets, ensure_ascii=False, indent=2))
        for secret in [] if options["json"] else secrets:
            used = f"used by {', '.join(secret['connections'])}" if secret["connections"] else "not used"
            self.stdout.write(f"{secret['name']}: {secret['source'] or 'not set'}, {used}")

    def _check(self, options: dict[str, Any]) -> None:
        names = {"secrets file", "secrets"}
        checks = list(run_checks(check for check in CHECKS if check[0] in names))
        text = "\n".join(check.as_text() for check in checks)
        self.stdout.write(checks_as_json(checks) if options["json"] else text)
        self.exit_code = ExitCode.DONE if all(check.ok for check in checks) else ExitCode.FAILED


def _invalid(message: str, hint: str) -> CommandFailed:
    return CommandFailed(message, hint=hint, code="configuration_invalid")


def _value(name: str) -> str:
    if sys.stdin.isatty():
        value = getpass.getpass(f"Value of {name} (not shown): ")
        if value != getpass.getpass("Repeat the value: "):
            raise _invalid("The two values differ; nothing was changed.", "Run the command again.")
    else:
        try:
            value = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid("The value is not UTF-8; nothing was changed.", "Give it as UTF-8.") from None
        # echo and editors add a line feed
        value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise _invalid("The value is empty; nothing was changed.", "Give the value on stdin, or type it.")
    return value
