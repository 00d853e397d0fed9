"""`manage.py secrets set|list|check`: the names behind `$NAME`. No value is ever an argument, and none is shown."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.sdk.errors import ConfigurationInvalid
from connections.secrets.references import check_name, name_of, store
from pipekit_site.doctor import checks as examining
from pipekit_site.doctor import installation


class Command(BaseCommand):
    help = "Set, list and check the secrets that connections refer to."
    # a secrets file with the wrong mode is what `check` is there to report
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        setting = actions.add_parser(
            "set", help="write one into the secrets file; its value comes on stdin or is asked for"
        )
        setting.add_argument("name", metavar="NAME")
        # taken only to be refused without being repeated
        setting.add_argument("rest", nargs="*", default=[], help=argparse.SUPPRESS)
        for name, text in {
            "list": "their names, where each comes from, and which connections use it",
            "check": "whether each that is used is set, and the file's mode and lines; exit code 1 when one fails",
        }.items():
            actions.add_parser(name, help=text).add_argument("--json", action="store_true")

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            {"set": self._set, "list": self._list, "check": self._check}[action](options)
        except ConfigurationInvalid as error:
            raise CommandFailed.of(error) from None

    def _set(self, options: dict[str, Any]) -> None:
        if options["rest"]:
            raise _invalid("A value is not taken as an argument, where others could read it.", "Give it on stdin.")
        check_name(options["name"])
        store().set(options["name"], _value(options["name"]))
        self.stderr.write(f"{options['name']} is set in {store().path}.")

    def _list(self, options: dict[str, Any]) -> None:
        users = {name_of(reference): names for reference, names in installation.used_secrets()}
        found = [
            {"name": name, "source": store().source(name) or None, "connections": users.get(name, [])}
            for name in sorted({*store().names(), *users})
        ]
        if options["json"]:
            self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
        for secret in [] if options["json"] else found:
            used = f"used by {', '.join(secret['connections'])}" if secret["connections"] else "not used"
            self.stdout.write(f"{secret['name']}: {secret['source'] or 'not set'}, {used}")

    def _check(self, options: dict[str, Any]) -> None:
        wanted = {"secrets file", "secrets"}
        checks = list(examining.examine_each(check for check in examining.CHECKS if check[0] in wanted))
        ok = all(check.ok for check in checks)
        if options["json"]:
            answer = {"ok": ok, "checks": [check.as_json() for check in checks]}
            self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2))
        for check in [] if options["json"] else checks:
            hint = f"\n  → {check.hint}" if check.hint else ""
            self.stdout.write(f"{'✔' if check.ok else '✘'} {check.name}: {check.message}{hint}")
        if not ok:
            sys.exit(1)


def _invalid(message: str, hint: str) -> CommandFailed:
    return CommandFailed(message, hint=hint, code="configuration_invalid")


def _value(name: str) -> str:
    if sys.stdin.isatty():
        value = getpass.getpass(f"Value of {name} (not shown): ")
        if value != getpass.getpass("The same again: "):
            raise _invalid("The two are not the same; nothing was changed.", "Type it again.")
    else:
        try:
            value = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid("The value is not UTF-8; nothing was changed.", "Give it as UTF-8.") from None
        # the line feed that echo and editors add is not part of it
        value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise _invalid("The value is empty; nothing was changed.", "Give the value on stdin, or type it.")
    return value
