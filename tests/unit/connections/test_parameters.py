"""The parameters of a connection: the options that the engine sets, and their JSON form."""

from __future__ import annotations

from connections.sdk.parameters import ConnectionParameters
from runs.engine.sessions import for_inspection
from runs.jrunner.routes.same_file import mark_same_file


def test_the_engine_sets_options_without_changing_those_of_the_user() -> None:
    parameters = ConnectionParameters(kind="sqlite", url="/data/x.db", options={"create": True, "mode": "slow"})
    assert (parameters.create, parameters.connect_timeout, parameters.same_file) == (True, None, False)
    inspected = for_inspection(parameters)
    assert (inspected.create, inspected.connect_timeout, inspected.options["mode"]) == (False, 4, "slow")
    assert all(each.same_file and each.create for each in mark_same_file(parameters, parameters))
    limited = parameters.with_options(no_progress_timeout=0)
    assert ConnectionParameters.from_json(limited.as_json()).no_progress_timeout == 0
    assert parameters.no_progress_timeout is None
