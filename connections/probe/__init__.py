"""Connection test: `probe_connection` runs it in steps and returns a `Result`."""

from __future__ import annotations

from connections.probe.result import Result as Result
from connections.probe.result import Step as Step
from connections.probe.run import probe_connection as probe_connection
