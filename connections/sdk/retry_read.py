"""The exception by which a reader requests, in the middle of a stream, to start again with another reader."""

from __future__ import annotations

from connections.sdk.protocols import Reader


class ReadAgain(Exception):
    """Raised while iterating over `Batches`; the caller rolls back what was written and reads again with ``reader``.

    Readers first use the fastest method, which is not exact for some values. Each further reader handles more of them,
    so the number of retries is bounded. Not an error: it is never shown to a user. ``why`` is for the log.
    """

    def __init__(self, reader: Reader, why: str) -> None:
        super().__init__(why)
        self.reader = reader
        self.why = why
