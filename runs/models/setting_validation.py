"""Checks the stored values of settings: SQL can write what the model would refuse, in SQLite even of another type."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

_TYPES: dict[str, tuple[type, ...]] = {
    "FloatField": (int, float),
    "PositiveIntegerField": (int,),
    "BooleanField": (bool,),
    "TextField": (str,),
    "CharField": (str,),
    "JSONField": (list,),
}
_EXPECTED = {
    "FloatField": "a number",
    "PositiveIntegerField": "a whole number",
    "BooleanField": "true or false",
    "TextField": "a text",
    "CharField": "a text",
    "JSONField": "a list",
}
_MAX_SHOWN = 100


def problem(field: models.Field[Any, Any], value: Any) -> str:
    """Return why the field of a setting cannot have this value, in a sentence; empty if it can."""
    if value is None and field.null:
        return ""
    kind = field.get_internal_type()
    types = _TYPES[kind]
    if not isinstance(value, types) or isinstance(value, bool) != (types == (bool,)):
        # the message of a limit says what is expected, too
        messages = (str(getattr(validator, "message", "")) for validator in field.validators)
        return next(filter(None, messages), f"Expected {_EXPECTED[kind]}.")
    try:
        field.clean(value, None)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def shown(field: models.Field[Any, Any], value: Any) -> str:
    """Return an invalid value for an error; empty for a text, because it may be a secret."""
    if isinstance(field, models.TextField):
        return ""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
