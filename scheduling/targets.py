"""Resolves a name on the command line to a group or module and its schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connections.sdk.errors import ConfigurationInvalid, PipekitError
from modules.models import Group, Module
from scheduling.models import Action, Schedule


class NotFound(PipekitError):
    """No group, module or schedule has the name."""

    code = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A group or module with its schedules of one action."""

    name: str
    group: Group | None = None
    module: Module | None = None
    # its schedules; if the name was that of a schedule, only that one
    schedules: Sequence[Schedule]
    # the action of these schedules
    action: Action = Action.RUN

    def __str__(self) -> str:
        return f"{'group' if self.group else 'module'} {self.group or self.module}"

    def other_schedules(self) -> list[str]:
        """Return the names of its schedules with the other action."""
        owner = self.group or self.module
        assert owner is not None, "a target is a group or a module"
        return list(owner.schedules.exclude(action=self.action).values_list("name", flat=True))

    def set(self, expression: str, **fields: str) -> Schedule:
        """Create its schedule, or change the one it has. Raise ConfigurationInvalid if it has several."""
        if len(self.schedules) > 1:
            names = ", ".join(schedule.name for schedule in self.schedules)
            raise ConfigurationInvalid(
                f"The {self} has {len(self.schedules)} schedules: {names}.",
                hint="Use the name of one of them, or remove them first.",
            )
        name = self.name if self.action == Action.RUN else f"{self.name}-{self.action}"
        new = Schedule(name=_free_name(name), group=self.group, module=self.module, action=self.action)
        schedule = self.schedules[0] if self.schedules else new
        schedule.cron_expr, schedule.enabled = expression, True
        for name, value in fields.items():
            setattr(schedule, name, value)
        schedule.full_clean()
        schedule.save()
        return schedule


def find(name: str, *, kind: str = "", action: Action = Action.RUN) -> Target:
    """Return the target with its schedules of this action.

    Raise NotFound, or ConfigurationInvalid if both a group and a module have the name and no kind is given.
    """
    group = Group.objects.filter(name=name).first() if kind != "module" else None
    module = Module.objects.filter(name=name).first() if kind != "group" else None
    if group and module:
        raise ConfigurationInvalid(
            f"There is a group “{name}” and a module “{name}”.", hint="Choose one of them: --group or --module."
        )
    if group:
        return Target(name=name, group=group, schedules=list(group.schedules.filter(action=action)), action=action)
    if module:
        return Target(name=name, module=module, schedules=list(module.schedules.filter(action=action)), action=action)
    if not kind and (schedule := Schedule.objects.with_target().filter(name=name).first()):
        return Target(
            name=name,
            group=schedule.group,
            module=schedule.module,
            schedules=[schedule],
            action=Action(schedule.action),
        )
    raise NotFound(name)


def names(kind: str) -> list[str]:
    """Return the names of all groups and modules, or of one kind."""
    groups, modules = (
        [] if kind == other else list(model.objects.values_list("name", flat=True))
        for other, model in (("module", Group), ("group", Module))
    )
    return groups + modules


def _free_name(name: str) -> str:
    taken = set(Schedule.objects.filter(name__startswith=name).values_list("name", flat=True))
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
