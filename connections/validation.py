"""Validation of a connection before it is saved, shared by the admin and the commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from connections import options, own_metadata
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import REFERENCE

if TYPE_CHECKING:
    from connections.models import Connection

LITERAL_PASSWORD = (
    "A password is not stored here. Write $ and a name in capital letters, such as $DW_PW, and put the password itself "
    "into the secrets file: manage.py secrets set DW_PW."
)
# Does not repeat the text, which may be a password that begins with $.
NO_REFERENCE = (
    "This begins with $ but is not a reference to a secret: that is $ and a name of capital letters, digits and “_”, "
    "such as $DW_PW. Write the name in capital letters, as in manage.py secrets set DW_PW. A password itself is not "
    "stored here."
)


def check(connection: Connection) -> None:
    """Raise one ValidationError with all errors by field."""
    errors: dict[str, list[str]] = {}
    if connection.password and not re.search(REFERENCE, connection.password):
        errors["password"] = [NO_REFERENCE if connection.password.startswith("$") else LITERAL_PASSWORD]
    if connection.driver_id is not None:
        if not connection.password and (needed := _required_credential(connection)):
            errors["password"] = [needed]
        errors["jdbc_url"] = _url_errors(connection)
        errors["options"] = _option_errors(connection)
    if errors := {field: messages for field, messages in errors.items() if messages}:
        raise ValidationError(dict(errors))


def _url_errors(connection: Connection) -> list[str]:
    if not connection.jdbc_url:
        return []
    try:
        own_metadata.check_url(connection.jdbc_url, connection.driver.kind)
    except PipekitError as error:
        return [f"{error.message} {error.hint}".strip()]
    return []


def _required_credential(connection: Connection) -> str:
    """Return an error if the kind requires a credential as the password; empty if it does not."""
    manifest = connection.driver.manifest
    first = manifest.env_vars[0] if manifest and manifest.env_vars else None
    if first is None or not first.required:
        return ""
    return f"{connection.driver} needs a credential: {first.description} Write a reference such as ${first.name}."


def _option_errors(connection: Connection) -> list[str]:
    try:
        errors = list(options.problems(connection.options, connection.driver.kind))
        if not errors:
            own_metadata.check_local_server(connection.options, connection.driver.kind)
        return errors
    except PipekitError as error:
        return [f"{error.message} {error.hint}".strip()]
