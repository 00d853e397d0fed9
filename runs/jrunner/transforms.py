"""What a job asks to change on the way: blanks trimmed from the end of text, NUL bytes taken out of it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from connections.sdk.arrow.nul_bytes import has_nul
from runs.jrunner.job import Job


class Shaping:
    """Applied to each batch in order; remembers what it changed."""

    def __init__(self, job: Job) -> None:
        self.trims = job.trim
        self.strips = job.options.get("nul_bytes") == "strip"
        self.stripped: dict[str, int] = {}

    def shaped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not (self.trims or self.strips):
            return batch
        arrays = [self._column(batch.column(i), batch.schema.field(i)) for i in range(batch.num_columns)]
        return pa.record_batch(arrays, schema=batch.schema)

    def warnings(self) -> list[str]:
        return [
            f"NUL bytes were taken out of {count} values of column “{name}”." for name, count in self.stripped.items()
        ]

    def _column(self, array: pa.Array, field: pa.Field) -> pa.Array:
        if not pa.types.is_string(field.type):
            return array
        if self.strips and has_nul(array):
            count = pc.sum(pc.match_substring(array, "\0")).as_py()
            self.stripped[field.name] = self.stripped.get(field.name, 0) + count
            array = pc.replace_substring(array, "\0", "")
        return pc.utf8_rtrim(array, characters=" ") if self.trims else array
