"""The history of modules: every change of fields, watermarks and hooks as JSON, and restoring earlier versions.

Edits of a module are made within `recorded`; the admin, whose transaction is Django's, calls `begin` and `record`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models, transaction

from connections.models import Connection
from modules.models import Hook, Module, ModuleHistory, Watermark

_NOT_COMPARED = frozenset({"id", "created_at", "updated_at", "module"})
# SQLite limits the number of parameters of a statement
_BATCH_SIZE = 500
_PARTS: dict[str, type[Watermark] | type[Hook]] = {"watermarks": Watermark, "hooks": Hook}


def snapshot(module: Module) -> dict[str, Any]:
    """Return the stored state of a module: its fields, connections by name, watermarks and hooks in order."""
    return _snapshots([module.pk]).get(module.pk, {}) if module.pk else {}


def _snapshots(keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the snapshots of modules by primary key, in three queries."""
    snapshots: dict[int, dict[str, Any]] = {}
    for module in Module.objects.filter(pk__in=keys).with_connections():
        snapshots[module.pk] = {**_values(module), **{name: [] for name in _PARTS}}
    for name, model in _PARTS.items():
        for row in model.objects.filter(module__in=keys).select_related("connection"):
            snapshots[row.module_id][name].append(_values(row))
    return snapshots


def _values(row: models.Model) -> dict[str, Any]:
    return {field.name: _value(row, field) for field in row._meta.concrete_fields if field.name not in _NOT_COMPARED}


def _value(row: models.Model, field: models.Field[Any, Any]) -> Any:
    value = getattr(row, field.name)
    return value.name if isinstance(value, Connection) else value


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return ``{field: {"old": ..., "new": ...}}`` for every field that differs."""
    names = [*after, *(name for name in before if name not in after)]
    return {
        name: {"old": before.get(name), "new": after.get(name)} for name in names if before.get(name) != after.get(name)
    }


def begin(module: Module) -> dict[str, Any]:
    """Begin an edit in the current transaction: lock the module and return its snapshot, for `record`."""
    _lock(module)
    return snapshot(module)


def record(module: Module, before: dict[str, Any], *, actor: str) -> ModuleHistory | None:
    """Insert a version with the changes since ``before``; return None if nothing changed."""
    after = snapshot(module)
    diff = difference(before, after)
    if not diff:
        return None
    # a new module has no history
    version = _last_version(module) + 1 if before else 1
    return ModuleHistory.objects.create(
        module=module, module_name=module.name, version=version, actor=actor, diff=diff, snapshot=after
    )


@contextmanager
def recorded(module: Module, *, actor: str) -> Iterator[None]:
    """Context manager for an edit of a module and its parts, in one transaction with its history row."""
    with transaction.atomic():
        before = begin(module)
        yield
        record(module, before, actor=actor)


def record_new(modules: Sequence[Module], *, actor: str) -> None:
    """Insert the first versions of modules that were created, with their parts, in this transaction."""
    for start in range(0, len(modules), _BATCH_SIZE):
        batch = modules[start : start + _BATCH_SIZE]
        snapshots = _snapshots([module.pk for module in batch])
        ModuleHistory.objects.bulk_create(
            ModuleHistory(
                module=module,
                module_name=module.name,
                version=1,
                actor=actor,
                diff=difference({}, snapshots[module.pk]),
                snapshot=snapshots[module.pk],
            )
            for module in batch
        )


def _lock(module: Module) -> None:
    """Lock the module against concurrent edits, so that each becomes a version; its runs are not blocked."""
    if module.pk:
        Module.objects.select_for_update(no_key=True).filter(pk=module.pk).values_list("pk", flat=True).first()


def _allow_all(permission: str) -> bool:
    """Grant every permission, for commands."""
    return True


def restore(version: ModuleHistory, *, actor: str, may: Callable[[str], bool] = _allow_all) -> Module:
    """Restore a module, with its watermarks and hooks, to a version, and record that as a change.

    ``may`` returns whether the actor has a permission; a restore needs those of the same edit in the admin. Raise
    PermissionDenied without them, ValidationError if the version is no longer valid, and DoesNotExist if the module or
    a connection was deleted.
    """
    if version.module is None:
        raise Module.DoesNotExist(f"The module {version.module_name} is deleted.")
    module = version.module
    with recorded(module, actor=actor):
        if missing := [names for names in _required_permissions(module, version) if not _has_one(names, may)]:
            raise PermissionDenied(_refusal(missing))
        fields = {name: value for name, value in version.snapshot.items() if name not in _PARTS}
        for name, value in _with_connections(fields, Module).items():
            setattr(module, name, value)
        module.watermark_names = [row["name"] for row in version.snapshot["watermarks"]]
        module.full_clean()
        module.save()
        for name, model in _PARTS.items():
            _replace(module, model, version.snapshot[name])
    return module


def _required_permissions(module: Module, version: ModuleHistory) -> list[tuple[tuple[str, ...], ...]]:
    """Return the permissions that a restore needs: for each item, one of its sets is enough."""
    required: list[tuple[tuple[str, ...], ...]] = [(("modules.change_module",),)]
    now = snapshot(module)
    for name, model in _PARTS.items():
        before, after = now[name], version.snapshot[name]
        added = [row for row in after if row not in before]
        removed = [row for row in before if row not in after]
        add, change, delete = (f"modules.{act}_{model._meta.model_name}" for act in ("add", "change", "delete"))
        if added and removed:
            required.append(((change,), (add, delete)) if len(added) == len(removed) else ((add, delete),))
        elif added or removed:
            required.append(((add if added else delete,),))
    return required


def _has_one(sets: tuple[tuple[str, ...], ...], may: Callable[[str], bool]) -> bool:
    return any(all(may(permission) for permission in permissions) for permissions in sets)


def _refusal(missing: list[tuple[tuple[str, ...], ...]]) -> str:
    named = ", ".join(" or ".join(" and ".join(permissions) for permissions in sets) for sets in missing)
    return f"It changes parts of the module that you may not change; this needs the permission {named}."


def _replace(module: Module, model: type[Watermark] | type[Hook], rows: list[dict[str, Any]]) -> None:
    model.objects.filter(module=module).delete()
    for values in rows:
        row = model(module=module, **_with_connections(values, model))
        row.full_clean()
        row.save()


def _with_connections(values: dict[str, Any], model: type[models.Model]) -> dict[str, Any]:
    """Return the values with names of connections replaced by connections; fields that no longer exist are dropped."""
    names = {field.name: field for field in model._meta.concrete_fields}
    kept = {name: value for name, value in values.items() if name in names}
    return {
        name: _connection(value) if names[name].related_model is Connection and value else value
        for name, value in kept.items()
    }


def _connection(name: str) -> Connection:
    try:
        return Connection.objects.get(name=name)
    except Connection.DoesNotExist:
        raise Connection.DoesNotExist(f"The connection “{name}” does not exist any more.") from None


def switch(modules: models.QuerySet[Module], *, enabled: bool, actor: str) -> int:
    """Enable or disable modules; return how many were changed."""
    changed = list(modules.exclude(enabled=enabled))
    for module in changed:
        with recorded(module, actor=actor):
            module.enabled = enabled
            module.save(update_fields=["enabled", "updated_at"])
    return len(changed)


def delete(module: Module, *, actor: str) -> None:
    """Delete a module. Its history is kept and ends with the deletion."""
    with transaction.atomic():
        row = ModuleHistory(
            module_name=module.name, version=_last_version(module) + 1, actor=actor, diff={}, snapshot=snapshot(module)
        )
        row.diff = difference(row.snapshot, {})
        module.delete()
        row.save()


def _last_version(module: Module) -> int:
    _lock(module)
    return ModuleHistory.objects.filter(module=module).aggregate(last=models.Max("version"))["last"] or 0
