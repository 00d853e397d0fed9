"""Form widgets for SQL, JSON, and foreign keys to many rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.admin.widgets import AutocompleteSelect
from unfold.widgets import UnfoldAdminTextareaWidget


class SqlWidget(UnfoldAdminTextareaWidget):
    """A monospaced textarea that converts line ends to \\n, as browsers send \\r\\n."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "pk-code", "rows": 8, "spellcheck": "false", **(attrs or {})})

    def value_from_datadict(self, *args: Any) -> Any:
        value = super().value_from_datadict(*args)
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


class JsonWidget(SqlWidget):
    """A textarea with indented JSON, empty for null and for an empty object."""

    def format_value(self, value: Any) -> str | None:
        try:
            parsed = json.loads(value)
        except (TypeError, ValueError):
            return value
        return "" if parsed in (None, {}) else json.dumps(parsed, indent=2, ensure_ascii=False)


class KnownAutocomplete(AutocompleteSelect):
    """An AutocompleteSelect that takes the names of selected rows from ``known`` instead of querying each one."""

    def __init__(self, *args: Any, known: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known = known

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        selected = [str(key) for key in value if key]
        if not selected or any(key not in self.known for key in selected):
            return super().optgroups(name, value, attr)
        options = [self.create_option(name, key, self.known[key], True, index) for index, key in enumerate(selected)]
        return [(None, options, 0)]
