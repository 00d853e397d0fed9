"""`manage.py carryout`: execute queued runs, group runs and verifications, as the process launched for them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import connection

from connections.management.base import BaseCommand
from connections.management.exit_codes import ExitCode, worst
from connections.sdk.errors import PipekitError
from connections.secrets.redaction import redactor
from runs.cli.exit_code_by_status import exit_code_of
from runs.lifecycle import signals
from runs.lifecycle.execute import execute_run
from runs.lifecycle.groups import execute_group_run
from runs.lifecycle.insert import start_run
from runs.lifecycle.metadata_retry import retry_metadata
from runs.models import GroupRun, Run
from runs.models.transitions import IllegalTransition
from runs.models.verification import Verification, VerificationStatus, cancelled_before_start
from runs.process import identity
from runs.verifications.execute import execute_verification
from runs.verifications.record import finish_verification


class Command(BaseCommand):
    help = (
        "Internal: execute a queued run, group run or verifications. Pipekit starts it for schedules, "
        "groups and the admin; by hand use runmodule, rungroup, verifymodule or verifygroup."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--run", type=int, metavar="RUN")
        which.add_argument("--group-run", type=int, metavar="GROUP_RUN")
        which.add_argument("--verification", type=int, nargs="+", metavar="VERIFICATION")

    def handle(self, **options: Any) -> None:
        with signals.as_interrupt(deferred=True) as received:
            try:
                if options["verification"]:
                    self.exit_code = self._verifications(options["verification"], received)
                elif options["run"]:
                    self.exit_code = self._run(options["run"])
                else:
                    self.exit_code = self._group_run(options["group_run"])
            except (IllegalTransition, Run.DoesNotExist, GroupRun.DoesNotExist) as error:
                # cancelled, finalized or deleted before this process started
                self.stderr.write(str(error))
                self.exit_code = ExitCode.FAILED

    def _run(self, pk: int) -> ExitCode:
        run = retry_metadata(lambda: Run.objects.with_module().get(pk=pk))
        try:
            retry_metadata(lambda: start_run(run))
        except IllegalTransition:
            raise
        except PipekitError as error:
            refused = error.as_dict()
            retry_metadata(lambda: run.finish_error(refused))
            return exit_code_of(run)
        return exit_code_of(execute_run(run, retry=True))

    def _group_run(self, pk: int) -> ExitCode:
        group_run = retry_metadata(lambda: GroupRun.objects.select_related("group").get(pk=pk))
        retry_metadata(lambda: group_run.start(**identity.current().as_fields()))
        execute_group_run(group_run)
        return exit_code_of(group_run)

    def _verifications(self, pks: list[int], received: list[int]) -> ExitCode:
        """Execute one after another, whatever the outcome of each; a signal to this process cancels the rest."""
        codes: list[ExitCode] = []
        for position, pk in enumerate(pks):
            if received:
                return worst([*codes, *map(self._cancel, pks[position:])])
            # a block of its own: an interrupt of one verification must not affect the next
            with signals.as_interrupt(deferred=True) as own:
                try:
                    codes.append(self._verification(pk))
                except Exception as error:  # the others are executed all the same
                    self.stderr.write(redactor().text(f"Verification {pk}: {type(error).__name__}: {error}"))
                    connection.close()
                    codes.append(ExitCode.FAILED)
            received += [number for number in own if number != signals.FROM_THREAD]
        return worst(codes)

    def _verification(self, pk: int) -> ExitCode:
        verification = retry_metadata(lambda: Verification.objects.select_related("module").filter(pk=pk).first())
        if verification is None or verification.module is None:
            return ExitCode.FAILED
        try:
            retry_metadata(lambda: verification.start(**identity.current().as_fields()))
        except IllegalTransition as error:
            self.stderr.write(str(error))
            return self._cancel(pk) if verification.cancel_requested else ExitCode.FAILED
        execute_verification(verification)
        return exit_code_of(verification)

    def _cancel(self, pk: int) -> ExitCode:
        verification = Verification.objects.filter(pk=pk).first()
        if verification is not None and not verification.is_final:
            error = cancelled_before_start()
            finish_verification(verification, VerificationStatus.ERROR, self.stderr.write, error=error)
        return ExitCode.CANCELLED
