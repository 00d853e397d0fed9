"""Form fields for SQL, JSON and password references, and SQL to look at."""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from connections.validating import REFERENCE


class SqlWidget(UnfoldAdminTextareaWidget):
    """Text in one width, kept as typed; browsers send \\r\\n for every line's end."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "pk-code", "rows": 8, "spellcheck": "false", **(attrs or {})})

    def value_from_datadict(self, *args: Any) -> Any:
        value = super().value_from_datadict(*args)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


class JsonWidget(SqlWidget):
    """JSON over several lines; nothing where there is nothing."""

    def format_value(self, value: Any) -> str | None:
        try:
            found = json.loads(value)
        except (TypeError, ValueError):
            return value
        return "" if found is None else json.dumps(found, indent=2, ensure_ascii=False)


class ReferenceWidget(UnfoldAdminTextInputWidget):
    """Shows a `$NAME` and nothing else: a secret typed by mistake is not sent back to the browser."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "off", "placeholder": "$NAME", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        return str(value) if re.fullmatch(REFERENCE, str(value or "")) else None


def code(text: str) -> SafeString | str:
    """Return text as a block of one width, scrolling where it is long; a dash when there is none."""
    if not text:
        return "–"
    return format_html('<pre class="pk-code">{}</pre>', text)
