"""What a connection must satisfy before it is saved, for admin, API and commands alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from connections import options, own_metadata
from connections.sdk.errors import PipekitError

if TYPE_CHECKING:
    from connections.models import Connection

# as `connections.secrets.references` reads it, in a form that Python and PostgreSQL understand alike
REFERENCE = r"\A\$[A-Z_][A-Z0-9_]*\Z"
LITERAL_PASSWORD = (
    "A password is not stored here. Write $ and a name in capital letters, such as $DW_PW, and put the password itself "
    "into the secrets file: manage.py secrets set DW_PW."
)
# it may be the password itself all the same, so it is not repeated
NO_REFERENCE = (
    "This begins with $ and is no reference to a secret: that is $ and a name of capital letters, digits and “_”, such "
    "as $DW_PW. Write the name in capital letters, as in manage.py secrets set DW_PW. A password itself is not stored "
    "here."
)


def check(connection: Connection) -> None:
    """Raise one ValidationError with every finding, by field."""
    findings: dict[str, list[str]] = {}
    if connection.password and not re.search(REFERENCE, connection.password):
        findings["password"] = [NO_REFERENCE if connection.password.startswith("$") else LITERAL_PASSWORD]
    if connection.driver_id is not None:
        findings["jdbc_url"] = _url(connection)
        findings["options"] = _options(connection)
    if found := {field: messages for field, messages in findings.items() if messages}:
        raise ValidationError(dict(found))


def _url(connection: Connection) -> list[str]:
    if not connection.jdbc_url:
        return []
    try:
        own_metadata.check_url(connection.jdbc_url, connection.driver.kind)
    except PipekitError as error:
        return [f"{error.message} {error.hint}".strip()]
    return []


def _options(connection: Connection) -> list[str]:
    try:
        found = list(options.problems(connection.options, connection.driver.kind, reference=REFERENCE))
        if not found:
            own_metadata.check_embedded(connection.options)
        return found
    except PipekitError as error:
        return [f"{error.message} {error.hint}".strip()]
