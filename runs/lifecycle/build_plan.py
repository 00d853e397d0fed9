"""Builds the engine's plan of a run or comparison from the metadata: the module, its connections and the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings as conf

from connections.models import Connection
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import Column, TableName
from modules.choices import DuplicateKeys, FullPublish, NulBytes, OnError, RunOn
from modules.models import Hook as HookRow
from modules.models import Module
from runs.engine.plan import Hook, Limits, NamedWatermark, Plan, Strategy
from runs.lifecycle.dest_lock_key import is_key_of, is_key_of_table, table_without_url_schema
from runs.models import Run
from runs.models.setting import Setting, current_settings
from runs.models.states import Status

if TYPE_CHECKING:  # only a comparison imports DuckDB and Arrow
    from runs.engine.verify.verify import VerificationResult


def build_plan(
    module: Module,
    *,
    token: str = "",
    full_refresh: bool = False,
    force: bool = False,
    dry_run: bool = False,
    log_path: Path | None = None,
    settings: Setting | None = None,
    restore: bool = False,
    repair: VerificationResult | None = None,
) -> Plan:
    """Return the plan of a run with this token, secrets resolved: call it only in the process that connects.

    A comparison has no run, and needs no token. With ``repair`` the plan is that of the run which repairs the
    differences, with ``restore`` that of one which puts the former table back, without hooks. ``settings`` are by
    default those of now.

    Raises SecretMissing for a reference to a secret that does not exist, and ConfigurationInvalid if the differences
    cannot be repaired.
    """
    strategy = strategy_of(module, full_refresh=full_refresh)
    key = module.key_columns
    settings = settings or current_settings()
    timeout = settings.no_progress_timeout
    last_success, last_key = _last_success(module)
    plan = Plan(
        run=token,
        module=module.name,
        strategy=strategy,
        source=_parameters(module.source_connection, timeout),
        destination=_parameters(module.dest_connection, timeout),
        dest_table=module.dest_table_name,
        source_query=module.source_query,
        former_table=_former_table(module, last_key),
        filled_by=last_success if last_key and is_key_of(last_key, module) else None,
        columns=_columns(module),
        merge_key=key,
        watermark=_watermark(module, strategy, key),
        watermark_is_implied=not module.watermark_column,
        overlap=module.overlap,
        named_watermarks=_named(module, timeout),
        hooks=()
        if restore
        else tuple(_hook(hook, module, timeout) for hook in module.hooks.order_by("run_order", "pk")),
        key_sync=module.key_sync and not restore,
        key_sync_query=module.key_sync_query,
        supports_deletes=module.dest_connection.supports_deletes,
        keep_latest=module.duplicate_keys == DuplicateKeys.KEEP_LATEST,
        full_publish=FullPublish(module.full_publish),
        keep_previous=module.keep_previous,
        index_watermark=module.index_watermark,
        strip_nul_bytes=module.nul_bytes == NulBytes.STRIP,
        limits=Limits(min_full_share=settings.min_full_share, max_delete_share=settings.max_delete_share),
        restore=restore,
        force=force,
        dry_run=dry_run,
        no_progress_timeout=timeout,
        jrunner_path=conf.PIPEKIT.jrunner_path or "",
        log_path=str(log_path or ""),
    )
    if repair is None:
        return plan
    # imported here: only a comparison imports DuckDB and Arrow
    from runs.engine.verify.plan_repair import repair_plan

    return repair_plan(plan, repair)


def build_failure_hooks(module: Module, settings: Setting) -> tuple[list[Hook | None], list[str]]:
    """Return the hooks of a run that cannot be planned, and why some of its failure hooks cannot be executed.

    None stands for such a hook, and for all that are not executed after a failure.
    """
    hooks, problems = list[Hook | None](), list[str]()
    for number, row in enumerate(module.hooks.order_by("run_order", "pk"), start=1):
        hook = None
        if row.run_on in (RunOn.FAILURE, RunOn.ALWAYS):
            try:
                hook = _hook(row, module, settings.no_progress_timeout)
            except PipekitError as error:
                problems.append(f"Hook {number} ({row.run_on}) was not executed: {error.message}")
        hooks.append(hook)
    return hooks, problems


def build_destination_plan(module: Module, *, token: str, full_refresh: bool) -> Plan:
    """Return a plan that is enough to find what a run published; it needs no secret but the destination's."""
    strategy = strategy_of(module, full_refresh=full_refresh)
    destination = _parameters(module.dest_connection, current_settings().no_progress_timeout)
    return Plan(
        run=token,
        module=module.name,
        strategy=strategy,
        source=destination,
        destination=destination,
        dest_table=module.dest_table_name,
        source_query="",
        watermark=_watermark(module, strategy, module.key_columns),
    )


def _last_success(module: Module) -> tuple[int | None, str]:
    """Return the number of the module's last successful run, and the key of the table that it filled."""
    succeeded = Run.objects.filter(module=module, status=Status.SUCCESS, dry_run=False).order_by("-pk")
    return succeeded.values_list("pk", "dest_lock_key").first() or (None, "")


def _former_table(module: Module, last_key: str) -> TableName | None:
    """Return the table that the module's last successful run filled, if the schema in the URL has replaced it since."""
    table = table_without_url_schema(module)
    return table if table is not None and last_key and is_key_of_table(last_key, module, table) else None


def _parameters(connection: Connection, timeout: int) -> ConnectionParameters:
    """Return the connection's parameters with the option no_progress_timeout."""
    return connection.parameters().with_options(no_progress_timeout=timeout)


def strategy_of(module: Module, *, full_refresh: bool) -> Strategy:
    """Return the module's merge strategy, or `full` for a full refresh."""
    return Strategy.FULL if full_refresh else Strategy(module.merge_strategy)


def _watermark(module: Module, strategy: Strategy, key: tuple[str, ...]) -> str:
    """Return the watermark column; a strategy may imply the first column of the merge key."""
    if strategy.traits.replaces_all:
        return ""
    if module.watermark_column:
        return module.watermark_column
    return key[0] if strategy.traits.implies_watermark and key else ""


def _columns(module: Module) -> tuple[Column, ...]:
    return tuple(Column(**{**column, "dest_type": column.get("dest_type") or ""}) for column in module.columns or ())


def _named(module: Module, timeout: int) -> tuple[NamedWatermark, ...]:
    return tuple(
        NamedWatermark(
            name=watermark.name,
            connection=_parameters(watermark.connection, timeout),
            resolver_sql=watermark.resolver_sql,
            default=watermark.default_value,
        )
        for watermark in module.watermarks.select_related("connection__driver").order_by("name")
    )


def _hooks(module: Module, timeout: int) -> tuple[Hook, ...]:
    return tuple(_hook(hook, module, timeout) for hook in module.hooks.order_by("run_order", "pk"))


def _hook(hook: HookRow, module: Module, timeout: int) -> Hook:
    return Hook(
        sql=hook.sql,
        run_on=RunOn(hook.run_on),
        connection=_parameters(hook.connection or module.dest_connection, timeout),
        must_succeed=hook.on_error == OnError.FAIL,
    )
