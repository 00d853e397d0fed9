"""What all pages of the admin share: verbs as buttons, the way to what belongs together, lists that say what to do.

A verb is an admin action under another roof: its button posts to the list, so that one function does it for one row and
for many, permissions and CSRF protection included.
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
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

# what a button on a row's own page sends along
FROM_PAGE = "from_page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """``action`` is the name of the admin action; ``icon`` a Material symbol; ``ask`` a question before it is done."""

    action: str
    label: str
    icon: str
    title: str = ""
    ask: str = ""
    primary: bool = False


class Page(ModelAdmin):
    """A model's list and pages."""

    verbs: Sequence[Verb] = ()
    # the one that each row of the list has a button for
    row_verb: Verb | None = None
    # what a list without rows says
    empty_says = ""
    change_form_outer_before_template = "connections/verbs.html"
    list_after_template = "connections/row_verb.html"
    list_filter_submit = True

    def related(self, row: Any) -> Iterable[tuple[str, str]]:
        """Return text and address of what belongs to a row."""
        return ()

    def offers(self, verb: Verb, row: Any) -> bool:
        """Say whether a verb makes sense for a row as it is now."""
        return True

    def goes_on(self, row: Any) -> bool:
        """Say whether a row changes by itself, so that its page renews itself."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Disallow filters by JSON in a list's address: databases know different ones, and SQLite few."""
        return not _reaches_json(self.model, lookup) and bool(super().lookup_allowed(lookup, value, request))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if (row := kwargs.get("obj")) is not None:
            allowed = self.get_actions(request)
            verbs = [verb for verb in self.verbs if verb.action in allowed and self.offers(verb, row)]
            related = [(text, url) for text, url in self.related(row) if _may_see(request, url)]
            context |= {"verbs": verbs, "related": related, "goes_on": self.goes_on(row)}
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"row_verb": self._row_verb(request), **(extra_context or {})})

    def get_list_display(self, request: HttpRequest) -> list[str]:
        found = list(super().get_list_display(request))
        return [*found, "button"] if self._row_verb(request) else found

    def _row_verb(self, request: HttpRequest) -> Verb | None:
        return self.row_verb if self.row_verb and self.row_verb.action in self.get_actions(request) else None

    @display(description="")
    def button(self, row: Model) -> SafeString | str:
        verb = self.row_verb
        if verb is None or not self.offers(verb, row):
            return ""
        return format_html(
            '<button type="submit" class="pk-verb pk-small" form="pk-row-verb" name="_selected_action" value="{}" '
            'title="{}" data-ask="{}"><span class="material-symbols-outlined" aria-hidden="true">{}</span>{}'
            '<span class="pk-unseen"> {}</span></button>',
            row.pk,
            verb.title,
            verb.ask,
            verb.icon,
            verb.label,
            row,
        )


def _reaches_json(model: type[Model], lookup: str) -> bool:
    """Say whether a path of fields, which a lookup may end, leads to a JSON field."""
    for part in lookup.split("__"):
        try:
            field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        except FieldDoesNotExist:
            # a lookup such as contains
            return False
        if isinstance(field, JSONField):
            return True
        if field is None or not field.is_relation or not isinstance(field.related_model, type):
            return False
        model = field.related_model
    return False


def _may_see(request: HttpRequest, address: str) -> bool:
    """Say whether the admin would show a user the page at an address."""
    app, model, _ = str(resolve(urlsplit(address).path).url_name).split("_")
    return any(request.user.has_perm(f"{app}.{act}_{model}") for act in ("view", "change"))


class ReadOnly:
    """Rows that are looked at here and written elsewhere. Their own history is the page itself."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        context["show_history"] = False
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]
