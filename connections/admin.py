"""Drivers and connections in the admin. Of a password only its `$NAME` is ever shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.timesince import timesince
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from connections.forms import ConnectionForm
from connections.models import Connection, Driver


@admin.register(Driver)
class DriverAdmin(ModelAdmin):
    list_display = ["name", "kind", "jar_file", "maven", "connection_count"]
    search_fields = ["name", "kind", "maven"]
    fieldsets = [
        (None, {"fields": ["name", "kind", "url_template"]}),
        (
            "JDBC",
            {
                "description": "Only for systems that are reached through a Java driver.",
                "fields": ["jar_file", "class_name", "maven", "sha256"],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Driver]:
        return super().get_queryset(request).annotate(used_by=Count("connections"))

    def get_readonly_fields(self, request: HttpRequest, obj: Driver | None = None) -> list[str]:
        # the kind is what connectors are found by
        return ["kind"] if obj else []

    @display(description="Connections", ordering="used_by")
    def connection_count(self, driver: Any) -> int:
        return int(driver.used_by)


@admin.register(Connection)
class ConnectionAdmin(ModelAdmin):
    form = ConnectionForm
    list_display = ["name", "kind", "jdbc_url", "username", "password", "last_test", "module_count"]
    list_filter = [("driver", RelatedDropdownFilter), "last_test_ok", "supports_deletes"]
    list_filter_submit = True
    list_select_related = ["driver"]
    search_fields = ["name", "jdbc_url", "username"]
    autocomplete_fields = ["driver"]
    readonly_fields = ["tested", "last_test_message"]
    fieldsets = [
        (None, {"fields": ["name", "driver", "jdbc_url"]}),
        (
            "Login",
            {
                "description": "The password itself stays in the secrets file: manage.py secrets set NAME. "
                "Here stands only its name, as $NAME.",
                "fields": [("username", "password")],
            },
        ),
        ("Behaviour", {"fields": ["supports_deletes", "max_parallel", "options"]}),
        ("Last test", {"fields": ["tested", "last_test_message"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        counts = {"reads": Count("source_modules", distinct=True), "writes": Count("dest_modules", distinct=True)}
        return super().get_queryset(request).annotate(**counts)

    def get_fieldsets(self, request: HttpRequest, obj: Connection | None = None) -> Any:
        # nothing has been tested before there is anything to test
        return self.fieldsets if obj else self.fieldsets[:-1]

    @display(description="Kind", ordering="driver__name")
    def kind(self, connection: Connection) -> str:
        return connection.driver.name

    @display(description="Last test", label={"works": "success", "failed": "danger", "never": "info"})
    def last_test(self, connection: Connection) -> tuple[str, str]:
        if connection.last_tested_at is None:
            return "never", "never tested"
        word = "works" if connection.last_test_ok else "failed"
        return word, f"{word}, {timesince(connection.last_tested_at, depth=1)} ago"

    @display(description="Result")
    def tested(self, connection: Connection) -> str:
        return self.last_test(connection)[1]

    @display(description="Modules")
    def module_count(self, connection: Any) -> str:
        found = [
            f"{connection.reads} from" * bool(connection.reads),
            f"{connection.writes} into" * bool(connection.writes),
        ]
        return ", ".join(filter(None, found)) or "none"
