"""Schemas that are missing at the destination, created before what goes into them."""

from __future__ import annotations

from typing import cast

from connections import registry
from connections.sdk.errors import PipekitError
from connections.sdk.protocols import Session
from connections.sdk.sql.publishing import PublishingDialect
from runs.engine.plan import Plan


def create_missing(session: Session, plan: Plan, schema: str) -> None:
    """Create the schema unless it is there, outside any transaction: nobody is to wait for a long publish.

    Asked first because CREATE SCHEMA IF NOT EXISTS takes the right to create even where there is nothing to do; asked
    again after a failure because of two that create it at the same moment one fails, IF NOT EXISTS or not.
    """
    has_schema = registry.connector(plan.destination.kind).introspector.has_schema
    if not schema or has_schema(session, schema):
        return
    try:
        session.execute(cast(PublishingDialect, registry.dialect_for(plan.destination)).create_schema(schema))
    except PipekitError:
        if not has_schema(session, schema):
            raise
