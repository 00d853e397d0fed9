"""Drivers and connections in the admin. Of a password, only the `$NAME` reference is ever shown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from connections import record_test_result
from connections.admin.forms import PERMISSION, ConnectionForm, for_user
from connections.models import Connection, Driver
from connections.probe import Result
from connections.sdk.errors import PipekitError
from connections.secrets import binding
from connections.secrets.references import store
from pipekit_site.admin_ui import html
from pipekit_site.admin_ui.model_admin import FROM_PAGE, BaseAdmin, Button

# a test may take up to a minute, and they run one after another
_MAX_TESTS = 5
# by a manifest's type of authentication
_LOGINS = {
    "none": "No login.",
    "basic": "User name and password.",
    "token": "A token as the password.",
    "oauth": "OAuth.",
    "service_account": "A service account.",
}


@admin.register(Driver)
class DriverAdmin(BaseAdmin):
    list_display = ["name", "kind", "capabilities", "jar_file", "maven", "connection_count"]
    search_fields = ["name", "kind", "maven"]
    empty_text = "A driver is a kind of system. Drivers come with the installation: manage.py migrate."
    fieldsets = [
        (
            None,
            {"fields": ["name", "kind", "description", "capabilities", "url_form", "login", "options", "url_template"]},
        ),
        (
            "JDBC",
            {
                "description": "Only for systems that are reached with a JDBC driver.",
                "fields": ["jar_file", "class_name", "maven", "sha256"],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Driver]:
        return super().get_queryset(request).annotate(used_by=Count("connections"))

    def get_readonly_fields(self, request: HttpRequest, obj: Driver | None = None) -> list[str]:
        declared = ["description", "capabilities", "url_form", "login", "options"]
        # connectors are found by the kind
        return ["kind", *declared] if obj else declared

    @display(description="Connector")
    def description(self, driver: Driver) -> str:
        """The connector's description and version, or the reason why the kind cannot be used."""
        if (manifest := driver.manifest) is not None:
            return f"{manifest.description} Version {manifest.version}."
        return html.badge(driver.unusable_reason or html.NOTHING, "danger") if driver.kind else html.NOTHING

    @display(description="Can")
    def capabilities(self, driver: Driver) -> str:
        """What the connector can do."""
        if (manifest := driver.manifest) is None:
            return html.badge("not installed", "danger") if driver.kind else html.NOTHING
        return ", ".join(str(cap.name).lower() for cap in manifest.capabilities) or "dry run only"

    @display(description="URLs")
    def url_form(self, driver: Driver) -> str:
        """The form of URLs, and the properties that may be in them without effect."""
        manifest = driver.manifest
        if manifest is None or manifest.url is None:
            return html.NOTHING
        ignored = ", ".join(sorted(one.name for one in manifest.url.properties.values() if not one.has_effect))
        return f"{manifest.url.expected}. Accepted without effect: {ignored}." if ignored else manifest.url.expected

    @display(description="Login")
    def login(self, driver: Driver) -> str:
        """How the kind authenticates, and its credentials."""
        if (manifest := driver.manifest) is None:
            return html.NOTHING
        names = ", ".join(f"${env_var.name}: {env_var.description}" for env_var in manifest.env_vars)
        return f"{_LOGINS[manifest.auth_type]} {names}".strip()

    @display(description="Options")
    def options(self, driver: Driver) -> str:
        """The options of connections of this kind, with their defaults."""
        parameters = driver.manifest.parameters if driver.manifest else ()
        given = [(one, "" if one.default in (None, {}, []) else json.dumps(one.default)) for one in parameters]
        return html.render("connections/options.html", options=given) or html.NOTHING

    def related(self, row: Driver) -> Iterable[tuple[str, str]]:
        yield "Connections", html.list_of("connections.connection", driver__id__exact=row.pk)

    @display(description="Connections", ordering="used_by")
    def connection_count(self, driver: Any) -> str:
        if not driver.used_by:
            return "0"
        return html.link(html.list_of("connections.connection", driver__id__exact=driver.pk), driver.used_by)


@admin.register(Connection)
class ConnectionAdmin(BaseAdmin):
    form = ConnectionForm
    list_display = ["name", "kind", "url", "login", "last_test"]
    list_filter = [("driver", RelatedDropdownFilter), "last_test_ok", "supports_deletes"]
    list_select_related = ["driver"]
    list_fullwidth = True
    search_fields = ["name", "jdbc_url", "username"]
    autocomplete_fields = ["driver"]
    readonly_fields = ["tested", "last_test_message", "secret_use"]
    actions = ["test"]
    buttons = [Button(action="test", label="Test", icon="network_check", title="Test the connection now", primary=True)]
    row_button = buttons[0]
    warn_unsaved_form = True
    empty_text = "A connection is a system to read from or to write to. Add one, then test it."
    fieldsets = [
        (None, {"fields": ["name", "driver", "jdbc_url"]}),
        (
            "Login",
            {
                "description": "The password itself stays in the secrets file: manage.py secrets set NAME. "
                "Enter its name here, as $NAME.",
                "fields": ["username", "password", "confirm_secret", "secret_use"],
            },
        ),
        ("Behaviour", {"fields": ["supports_deletes", "max_parallel", "options"]}),
        ("Last test", {"fields": ["tested", "last_test_message"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Connection | None = None) -> Any:
        if obj and self.has_change_permission(request, obj):
            return self.fieldsets
        fieldsets: Any = deepcopy(self.fieldsets)
        login = dict(fieldsets)["Login"]["fields"]
        login.remove("confirm_secret")
        if obj is None:
            # a new connection has no bound secret and no last test
            login.remove("secret_use")
        return fieldsets if obj else fieldsets[:-1]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return for_user(form, may_use_secrets=request.user.has_perm(PERMISSION))

    def has_test_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    @admin.action(description="Test", permissions=["test"])
    def test(self, request: HttpRequest, connections: QuerySet[Connection]) -> HttpResponse | None:
        selected = list(connections[: _MAX_TESTS + 1])
        if len(selected) > _MAX_TESTS:
            message = f"No connection was tested: at most {_MAX_TESTS} can be tested at once. Select fewer, or run"
            self.message_user(request, f"{message} manage.py testconnection NAME.", messages.WARNING)
            return None
        for connection in selected:
            result = record_test_result.run_test(connection)
            self.message_user(request, _test_message(result), messages.SUCCESS if result.ok else messages.ERROR)
        return HttpResponseRedirect(html.page_of(selected[0])) if selected and FROM_PAGE in request.POST else None

    @display(description="Kind", ordering="driver__name")
    def kind(self, connection: Connection) -> str:
        return connection.driver.name

    @display(description="URL", ordering="jdbc_url")
    def url(self, connection: Connection) -> str:
        return html.clipped(connection.jdbc_url, length=80)

    @display(description="Login", ordering="username")
    def login(self, connection: Connection) -> str:
        """The user name, and the password's reference with its status."""
        username, secret = connection.username or html.NOTHING, _secret(connection.password)
        return html.render("connections/login.html", username=username, secret=secret)

    @display(description="Secrets")
    def secret_use(self, connection: Connection) -> str:
        """The target that each secret is bound to, and the other connections that use it."""
        secrets = []
        for reference in connection.references():
            bound = reference in (connection.secret_binding or {}).get("references", ())
            target = binding.described(connection.secret_binding or {}) if bound else "no host; enter it again"
            others = [row for row in _connections_with(reference) if row.pk != connection.pk]
            secrets.append({"reference": reference, "target": target, "others": others})
        return html.render("connections/secret_use.html", secrets=secrets) or html.NOTHING

    @display(description="Last test", ordering="last_tested_at")
    def last_test(self, connection: Connection) -> str:
        if connection.last_tested_at is None:
            return html.badge("never tested", "info", sign="help")
        works = connection.last_test_ok
        label, colour = ("works", "success") if works else ("failed", "danger")
        mark = html.badge(label, colour, title=connection.last_test_message)
        return html.with_note(mark, html.since(connection.last_tested_at))

    @display(description="Result")
    def tested(self, connection: Connection) -> str:
        return self.last_test(connection)


def _connections_with(reference: str) -> list[Connection]:
    return [row for row in Connection.objects.with_driver() if reference in row.references()]


def _secret(reference: str) -> str:
    """Return the reference and whether the secret is set, and where; never its value."""
    if not reference:
        return ""
    name = reference.removeprefix("$")
    source, unreadable = None, None
    try:
        source = store().source(name)
    except PipekitError as error:
        unreadable = error
    return html.render("connections/secret.html", reference=reference, name=name, source=source, error=unreadable)


def _test_message(result: Result) -> str:
    """Return all steps of the test, with the hint of the failed one."""
    return html.render("connections/test_message.html", result=result)
