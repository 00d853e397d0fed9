"""Sections of the configuration file for modules and groups. Changes of modules are recorded in their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from modules import history
from modules.models import Group, GroupMember, Hook, Module, Watermark
from pipekit_site.configfile.sections import Part, Section


def _prepare(module: Module, parts: Mapping[str, Sequence[Any]]) -> None:
    if "watermarks" in parts:
        module.watermark_names = [watermark.name for watermark in parts["watermarks"]]


def _recorded(module: Module, actor: str) -> AbstractContextManager[None]:
    return history.recorded(module, actor=actor)


def _record_new(modules: Sequence[Module], actor: str) -> None:
    history.record_new(modules, actor=actor)


def _remove(module: Module, actor: str) -> None:
    history.delete(module, actor=actor)


_WATERMARKS = Part(
    name="watermarks",
    model=Watermark,
    owner="module",
    fields=("name", "connection", "resolver_sql", "default_value"),
    order_by="name",
    key="name",
)
_HOOKS = Part(
    name="hooks",
    model=Hook,
    owner="module",
    fields=("run_order", "run_on", "sql", "connection", "on_error"),
    order_by="run_order",
)
MODULES = Section(
    name="modules",
    model=Module,
    fields=(
        "source_connection",
        "dest_connection",
        "dest_table",
        "source_query",
        "merge_strategy",
        "merge_key",
        "watermark_column",
        "overlap",
        "key_sync",
        "key_sync_query",
        "full_refresh_cron",
        "enabled",
        "columns",
        "duplicate_keys",
        "full_publish",
        "keep_previous",
        "index_watermark",
        "nul_bytes",
        "max_retries",
        "retry_delay",
        "max_retry_delay",
        "exponential_backoff",
        "retry_timeout",
        "owner",
        "notes",
    ),
    parts=(_WATERMARKS, _HOOKS),
    prepare=_prepare,
    recorded=_recorded,
    record_new=_record_new,
    remove=_remove,
    related=("source_connection__driver", "dest_connection__driver"),
)
GROUPS = Section(
    name="groups",
    model=Group,
    fields=("on_failure", "max_parallel"),
    parts=(
        Part(
            name="members",
            model=GroupMember,
            owner="group",
            fields=("module", "run_order"),
            order_by="run_order",
            key="module",
        ),
    ),
)
