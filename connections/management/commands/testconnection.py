"""`manage.py testconnection NAME`: test a connection step by step and save the result."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from connections import record_test_result
from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from connections.models import Connection
from connections.probe import Result, Step
from connections.sdk.formatting import indented, one_line


class Command(BaseCommand):
    help = (
        "Test a connection: secret, URL, host, port, login, database, permissions. Prints the result to stdout and the"
        " steps to stderr."
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # of the connection that is tested
        self.kind: str | None = None
        self.steps: list[Step] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the connection's name")
        parser.add_argument(
            "--write", action="store_true", help="test write permissions even if no module writes to the connection"
        )
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def failure_as_json(self, error: Mapping[str, str], options: Mapping[str, Any]) -> object:
        steps = [step.as_json() for step in self.steps]
        return {"connection": options.get("name"), "kind": self.kind, "ok": False, "steps": steps, "error": error}

    def handle(self, name: str, **options: Any) -> None:
        connection = Connection.objects.with_driver().filter(name=name).first()
        if connection is None:
            message = f"There is no connection “{name}”."
            raise CommandFailed(message, hint=_suggestion(name), code="not_found", returncode=ExitCode.NOT_FOUND)
        self.kind = connection.driver.kind
        result = record_test_result.run_test(connection, write=options["write"], on_step=self._show)
        self.stdout.write(json.dumps(result.as_json()) if options["json"] else f"{name}: {_verdict(result)}")
        if result.error:
            self.write_error(result.error)
        self.exit_code = ExitCode.DONE if result.ok else ExitCode.FAILED

    def _show(self, step: Step) -> None:
        self.steps.append(step)
        self.stderr.write(
            f"{'✔' if step.ok else '✘'} {step.name:<8} {step.milliseconds:>6} ms  {indented(step.message)}"
        )


def _suggestion(name: str) -> str:
    close = get_close_matches(name, Connection.objects.values_list("name", flat=True), n=1)
    return f"Did you mean “{close[0]}”?" if close else "The connections are listed in the admin and by exportconfig."


def _verdict(result: Result) -> str:
    return "works" if result.ok else f"does not work; {one_line(result.message)}"
