"""Factories of database rows: each creates a valid row and the rows that it refers to."""

from __future__ import annotations

from typing import Any

from factory.declarations import LazyAttribute, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory

from connections.models import Connection, Driver
from modules.models import Group, GroupMember, Hook, Module, Watermark
from runs.admin.forms import SettingForm
from runs.models import GroupRun, Run, Setting
from scheduling.models import Schedule


class DriverFactory(DjangoModelFactory[Driver]):
    class Meta:
        model = Driver
        django_get_or_create = ("kind",)

    kind = "sqlite"
    name = LazyAttribute(lambda driver: driver.kind.title())


class ConnectionFactory(DjangoModelFactory[Connection]):
    """A source: a SQLite file."""

    class Meta:
        model = Connection

    name = Sequence(lambda number: f"erp{number}")
    driver = SubFactory(DriverFactory)
    jdbc_url = LazyAttribute(lambda connection: f"jdbc:sqlite:/data/{connection.name}.db")


class WarehouseFactory(ConnectionFactory):
    """A destination: PostgreSQL with a password reference."""

    name = Sequence(lambda number: f"warehouse{number}")
    driver = SubFactory(DriverFactory, kind="postgresql")
    jdbc_url = LazyAttribute(lambda connection: "jdbc:postgresql://127.0.0.1:5432/dw")
    username = "etl"
    password = "$DW_PW"


class ModuleFactory(DjangoModelFactory[Module]):
    class Meta:
        model = Module

    name = Sequence(lambda number: f"orders{number}")
    source_connection = SubFactory(ConnectionFactory)
    dest_connection = SubFactory(WarehouseFactory)
    dest_table = LazyAttribute(lambda module: f"sync.{module.name}")
    source_query = 'SELECT "DCORD#" AS dcord, RTRIM(DCOTYP) AS dcotyp, DCODAT AS dcodat FROM QCRH'


class WatermarkFactory(DjangoModelFactory[Watermark]):
    class Meta:
        model = Watermark

    module = SubFactory(ModuleFactory)
    name = "since"
    connection = SelfAttribute("module.dest_connection")
    resolver_sql = "SELECT max(d) FROM x"
    default_value = "1900-01-01"


class HookFactory(DjangoModelFactory[Hook]):
    class Meta:
        model = Hook

    module = SubFactory(ModuleFactory)
    sql = "ANALYZE sync.orders"


class GroupFactory(DjangoModelFactory[Group]):
    class Meta:
        model = Group

    name = Sequence(lambda number: f"nightly{number}")


class GroupMemberFactory(DjangoModelFactory[GroupMember]):
    class Meta:
        model = GroupMember

    group = SubFactory(GroupFactory)
    module = SubFactory(ModuleFactory)


class ScheduleFactory(DjangoModelFactory[Schedule]):
    class Meta:
        model = Schedule

    name = Sequence(lambda number: f"at-four-{number}")
    group = SubFactory(GroupFactory)
    cron_expr = "0 4 * * *"
    timezone = "Europe/Berlin"


class GroupRunFactory(DjangoModelFactory[GroupRun]):
    class Meta:
        model = GroupRun

    group = SubFactory(GroupFactory)
    group_name = SelfAttribute("group.name")


class RunFactory(DjangoModelFactory[Run]):
    class Meta:
        model = Run

    module = SubFactory(ModuleFactory)
    module_name = SelfAttribute("module.name")
    strategy = "full"
    dest_lock_key = LazyAttribute(lambda run: f"dw {run.module.dest_table}")


def create_running_run(**fields: Any) -> Run:
    """Create a run that has started."""
    run = RunFactory.create(**fields)
    run.start(host="etl1", machine_id="m1", boot_id="b1", pid=4711, process_started=99)
    return run


def change_settings(**values: Any) -> None:
    """Store settings, as an operator does while Pipekit runs; the others stay as they are."""
    Setting.objects.update_or_create(defaults=values)


def settings_form(**changes: Any) -> dict[str, Any]:
    """Return what a browser posts for the form of the settings after some fields were changed."""
    form = SettingForm(instance=Setting.objects.first() or Setting())
    values = {name: form[name].value() for name in form.fields} | changes
    return {name: value for name, value in values.items() if value not in (None, False)}
