"""Determines whether a source and a destination are one file, which some systems lock."""

from __future__ import annotations

import os

from connections.sdk.parameters import ConnectionParameters
from connections.url.parse import parse_url


def mark_same_file(
    source: ConnectionParameters, destination: ConnectionParameters
) -> tuple[ConnectionParameters, ConnectionParameters]:
    """Return both with the option ``same_file`` if they lead to one file, else unchanged."""
    if source.kind != destination.kind:
        return source, destination
    one, other = (parse_url(parameters.url, source.kind) for parameters in (source, destination))
    if not (one.is_file and other.is_file and os.path.realpath(one.path) == os.path.realpath(other.path)):
        return source, destination
    return source.with_options(same_file=True), destination.with_options(same_file=True)
