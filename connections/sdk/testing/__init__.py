"""Conformance tests for connectors: a pytest plugin, and the only package of Pipekit that imports pytest.

A connector's author runs the suite against a database in which it may create tables named ``pipekit_test...``::

    pytest -p connections.sdk.testing --connector sqlite --connection '{"url": "x.db", "options": {"create": true}}'

or, with failing connections and types of the system, from a test module::

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
_CONNECTOR = pytest.StashKey["ConnectorUnderTest"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pipekit", "conformance of Pipekit connectors")
    group.addoption("--connector", metavar="KIND", help="run the conformance suite for this kind of connector")
    group.addoption(
        "--connection", metavar="JSON", default="", help="the connection: url, username, password, options, schema, ..."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the whole suite, and nothing else unless it is named, if a connector is given.

    Raises UsageError, before any test, if the connector cannot be tested.
    """
    config.addinivalue_line("markers", "matrix: long tests")
    config.addinivalue_line("markers", "runs_last: if it fails, a thread of the connector goes on and keeps its locks")
    if config.getoption("--connector"):
        config.stash[_CONNECTOR] = _connector_of_command_line(config)
        named = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else []
        config.args = [*named, str(_SELECTED)]
        if not any(argument[:2] == "-m" for argument in config.invocation_params.args):
            # a project's pyproject.toml may leave out tests of its own by their marks
            config.option.markexpr = ""


def _connector_of_command_line(config: pytest.Config) -> ConnectorUnderTest:
    from connections.sdk.errors import PipekitError
    from connections.sdk.testing.case import ConnectorUnderTest

    try:
        return ConnectorUnderTest.from_json(config.getoption("--connector"), config.getoption("--connection"))
    except ValueError as error:
        raise pytest.UsageError(f"--connection: {error}") from None
    except PipekitError as error:
        raise pytest.UsageError(f"--connector: {error.message} {error.hint}".rstrip()) from None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the tests to the end that may leave something running, so that it affects no other test."""
    items.sort(key=lambda item: item.get_closest_marker("runs_last") is not None)


@pytest.fixture
def connector_under_test(pytestconfig: pytest.Config) -> ConnectorUnderTest:
    """The connector of the command line. Test classes of one connector override this fixture."""
    connector = pytestconfig.stash.get(_CONNECTOR, None)
    if connector is None:
        raise pytest.UsageError("Give --connector and --connection, or override the fixture connector_under_test.")
    return connector
