"""Form fields for SQL, JSON, password references, and rows chosen among many."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from connections.validation import REFERENCE


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
        return "" if found in (None, {}) else json.dumps(found, indent=2, ensure_ascii=False)


class ReferenceWidget(UnfoldAdminTextInputWidget):
    """Shows a `$NAME` and nothing else: a secret typed by mistake is not sent back to the browser."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "off", "placeholder": "$NAME", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        return str(value) if re.fullmatch(REFERENCE, str(value or "")) else None


class KnownAutocomplete(AutocompleteSelect):
    """Of rows that are known by name already it need not ask the database one by one."""

    def __init__(self, *args: Any, known: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = known

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        chosen = [str(found) for found in value if found]
        if not chosen or any(found not in self.known for found in chosen):
            return super().optgroups(name, value, attr)
        options = [self.create_option(name, found, self.known[found], True, at) for at, found in enumerate(chosen)]
        return [(None, options, 0)]
