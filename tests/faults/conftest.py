"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers.proxy import Proxy, proxied

if TYPE_CHECKING:  # this module is loaded before Django is set up
    from tests.faults.changing_source import Generator
    from tests.processes.install import Install


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """A proxy to the tests' PostgreSQL that can break connections."""
    directory = parse_qs(urlsplit(database_url).query)["host"][0]
    with proxied(f"{directory}/.s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture(scope="session")
def blank_install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """An install with empty metadata. Tests copy it, because that takes less time than migrating a new one."""
    from tests.processes.install import Install

    install = Install(tmp_path_factory.mktemp("install") / "blank")
    install.data_dir.mkdir()
    result = install.manage("runs")
    assert result.code == 0, result.err
    return install


@pytest.fixture
def install_at(blank_install: Install) -> Callable[[Path, Generator], Install]:
    """Create an install in a directory, with the module `orders` that syncs the generator's table into `sync.t`."""
    from tests.faults.installs import configure
    from tests.processes.install import Install

    def make(data_dir: Path, generator: Generator) -> Install:
        copytree(blank_install.data_dir, data_dir, dirs_exist_ok=True)
        install = Install(data_dir)
        configure(install, generator)
        return install

    return make
