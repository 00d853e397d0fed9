"""Base classes of the admin: action buttons, links to related rows, and a text for empty lists.

A button submits an admin action to the list, so one function serves a single row and many, including permissions and
CSRF protection. Unfold's own row actions are GET links, which must not change anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import FieldDoesNotExist
from django.db.models import JSONField, Model
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from unfold.admin import ModelAdmin
from unfold.decorators import display

from pipekit_site.admin_ui import html

# the parameter that a button on a row's own page adds
FROM_PAGE = "from_page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button. ``action`` names the admin action, ``icon`` a Material symbol, ``ask`` a question to confirm first."""

    action: str
    label: str
    icon: str
    title: str = ""
    ask: str = ""
    primary: bool = False


class BaseAdmin(ModelAdmin):
    """The base class of all model admins."""

    # buttons on a row's page
    buttons: Sequence[Button] = ()
    # the button in each row of the list
    row_button: Button | None = None
    # the text of an empty list
    empty_text = ""
    change_form_outer_before_template = "admin_ui/buttons.html"
    list_after_template = "admin_ui/row_button_form.html"
    list_filter_submit = True

    def related(self, row: Any) -> Iterable[tuple[str, str]]:
        """Return (text, URL) of links to related rows."""
        return ()

    def is_offered(self, button: Button, row: Any) -> bool:
        """Return whether the row's button is shown, given the row's state."""
        return True

    def is_changing(self, row: Any) -> bool:
        """Return whether the row is still changing, so that its page reloads itself."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Disallow lookups in JSON fields: databases support different ones, and an unsupported one is an error."""
        return not _reaches_json(self.model, lookup) and bool(super().lookup_allowed(lookup, value, request))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if (row := kwargs.get("obj")) is not None:
            allowed = self.get_actions(request)
            buttons = [button for button in self.buttons if button.action in allowed and self.is_offered(button, row)]
            related = [(text, url) for text, url in self.related(row) if _may_see(request, url)]
            context |= {"buttons": buttons, "related": related, "is_changing": self.is_changing(row)}
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"row_button": self._row_button(request), **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> list[str]:
        columns = list(super().get_list_display(request))
        return [*columns, "button"] if self._row_button(request) else columns

    def _row_button(self, request: HttpRequest) -> Button | None:
        return self.row_button if self.row_button and self.row_button.action in self.get_actions(request) else None

    @display(description="")
    def button(self, row: Model) -> str:
        button = self.row_button
        if button is None or not self.is_offered(button, row):
            return ""
        return html.render("admin_ui/row_button.html", button=button, row=row)


def _reaches_json(model: type[Model], lookup: str) -> bool:
    """Return whether the lookup's path of fields contains a JSON field."""
    for part in lookup.split("__"):
        try:
            field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except FieldDoesNotExist:
            # the name of a lookup, such as contains
            return False
        if isinstance(field, JSONField):
            return True
        if field is None or not field.is_relation or not isinstance(field.related_model, type):
            return False
        model = field.related_model
    return False


def _may_see(request: HttpRequest, address: str) -> bool:
    """Return whether the user may view the admin page at a URL."""
    app, model, _ = str(resolve(urlsplit(address).path).url_name).split("_")
    return any(request.user.has_perm(f"{app}.{act}_{model}") for act in ("view", "change"))


class ReadOnlyMixin:
    """Mixin for models that are written by Pipekit only: view permission at most, and no history page."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        context["show_history"] = False
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]
