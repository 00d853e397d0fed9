"""Creates missing schemas at the destination."""

from __future__ import annotations

from typing import cast

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.sql.publishing import PublishingDialect
from runs.engine.plan import Plan


def create_missing(session: Session, plan: Plan, schema: str) -> None:
    """Create the schema if it does not exist, outside the publish transaction so that no other session waits for it.

    Its existence is checked first, because CREATE SCHEMA IF NOT EXISTS requires the privilege to create even if there
    is nothing to do, and again after a failure, because one of two concurrent statements fails in spite of IF NOT
    EXISTS.
    """
    has_schema = registry.connector(plan.destination.kind).introspector.has_schema
    if not schema or has_schema(session, schema):
        return
    try:
        session.execute(cast(PublishingDialect, registry.dialect_for(plan.destination)).create_schema(schema))
    except PipekitError:
        if not has_schema(session, schema):
            raise
