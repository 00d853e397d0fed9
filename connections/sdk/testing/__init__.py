"""Conformance tests for connectors: a pytest plugin, and the only package of Pipekit that imports pytest.

A connector's author runs the suite against a database in which it may create tables named ``pipekit_test...``::

    pytest -p connections.sdk.testing --connector sqlite --connection '{"url": "x.db", "options": {"create": true}}'

or, with failing connections, known gaps and types of the system, from a test module::

    pytest_plugins = ["connections.sdk.testing"]

    class TestMySystem(DestinationSuite, ServerTests):
        @pytest.fixture
        def connector_under_test(self) -> ConnectorUnderTest:
            return ConnectorUnderTest(parameters=ConnectionParameters(...), refused=...)

``connections.sdk.testing.suite`` has the classes, ``connections.sdk.testing.case`` the description of the connector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # it imports pyarrow, which sessions without this suite do not need
    from connections.sdk.testing.case import ConnectorUnderTest

_SELECTED = Path(__file__).parent / "selected.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pipekit", "conformance of Pipekit connectors")
    group.addoption("--connector", metavar="KIND", help="run the conformance suite for this kind of connector")
    group.addoption(
        "--connection", metavar="JSON", default="", help="the connection: url, username, password, options, schema, ..."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the suite, and nothing else unless it is named, if a connector is given."""
    config.addinivalue_line("markers", "matrix: long tests")
    if config.getoption("--connector"):
        named = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        config.args = [*named, str(_SELECTED)]


@pytest.fixture
def connector_under_test(pytestconfig: pytest.Config) -> ConnectorUnderTest:
    """The connector of the command line. Test classes of one connector override this fixture."""
    from connections.sdk.testing.case import ConnectorUnderTest

    kind = pytestconfig.getoption("--connector")
    if not kind:
        raise pytest.UsageError("Give --connector and --connection, or override the fixture connector_under_test.")
    try:
        return ConnectorUnderTest.from_json(kind, pytestconfig.getoption("--connection"))
    except ValueError as error:
        raise pytest.UsageError(f"--connection: {error}") from None
