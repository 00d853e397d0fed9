"""Settings of Unfold, the admin's theme: title, colours and sidebar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _item(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")

    def permitted(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}")

    link = reverse_lazy(f"admin:{app}_{name}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": permitted}


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(f"pipekit/{name}")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Pipekit",
    "SITE_HEADER": "Pipekit",
    "SITE_SYMBOL": "sync_alt",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("icon.svg")}],
    "STYLES": [_file("pipekit.css")],
    "SCRIPTS": [_file("pipekit.js")],
    "DASHBOARD_CALLBACK": "pipekit_site.web.dashboard.context",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .014 215)",
            "100": "oklch(94.2% .034 213)",
            "200": "oklch(88.6% .062 214)",
            "300": "oklch(80.3% .094 216)",
            "400": "oklch(71.0% .112 219)",
            "500": "oklch(60.9% .108 223)",
            "600": "oklch(52.0% .096 225)",
            "700": "oklch(44.8% .082 227)",
            "800": "oklch(38.4% .068 229)",
            "900": "oklch(33.0% .056 231)",
            "950": "oklch(24.5% .044 233)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    _item("Connections", "cable", "connections.connection"),
                    _item("Modules", "table_chart", "modules.module"),
                    _item("Groups", "account_tree", "modules.group"),
                    _item("Schedules", "schedule", "scheduling.schedule"),
                ],
            },
            {
                "title": "History",
                "separator": True,
                "items": [
                    _item("Runs", "play_circle", "runs.run"),
                    _item("Verifications", "fact_check", "runs.verification"),
                    _item("Group runs", "playlist_play", "runs.grouprun"),
                    _item("Scheduled times", "event_available", "scheduling.slot"),
                    _item("Notifications", "notifications", "runs.notification"),
                    _item("Module history", "history", "modules.modulehistory"),
                ],
            },
            {
                "title": "Administration",
                "separator": True,
                "items": [
                    _item("Drivers", "extension", "connections.driver"),
                    _item("Settings", "tune", "runs.setting"),
                    _item("Users", "person", "auth.user"),
                    _item("User groups", "group", "auth.group"),
                ],
            },
            {
                "separator": True,
                "items": [{"title": "Help", "icon": "help", "link": reverse_lazy("help")}],
            },
        ],
    },
}
