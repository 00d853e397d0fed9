"""How a reader says, in the middle of a stream, that it must read in another way to stay exact."""

from __future__ import annotations

from connections.sdk.protocols import Reader


class ReadAgain(Exception):
    """Raised out of `Batches`: whoever drives the transfer undoes what was written and reads again with ``reader``.

    Readers take the fast way first and meet values for which it is not exact; each new reader is more careful than the
    last, so this ends. Not an error: it never reaches a user.
    """

    def __init__(self, reader: Reader, why: str) -> None:
        super().__init__(why)
        self.reader = reader
        self.why = why
