"""What tests of faults share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers.proxy import Proxy, proxied

if TYPE_CHECKING:  # loaded before Django is set up
    from tests.faults.changing_source import Generator
    from tests.processes.install import Install


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The wire to the tests' PostgreSQL, which can be broken."""
    directory = parse_qs(urlsplit(database_url).query)["host"][0]
    with proxied(f"{directory}/.s.PGSQL.5432") as found:
        yield found


@pytest.fixture(scope="session")
def blank_install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """An install whose metadata is made, and empty: to be copied, which is quicker than making one."""
    from tests.processes.install import Install

    found = Install(tmp_path_factory.mktemp("install") / "blank")
    found.data_dir.mkdir()
    done = found.manage("runs")
    assert done.code == 0, done.err
    return found


@pytest.fixture
def install_at(blank_install: Install) -> Callable[[Path, Generator], Install]:
    """Make an install at that place with the module `orders`, which syncs the generator's table into `sync.t`."""
    from tests.faults.installs import configure
    from tests.processes.install import Install

    def make(place: Path, generator: Generator) -> Install:
        copytree(blank_install.data_dir, place, dirs_exist_ok=True)
        found = Install(place)
        configure(found, generator)
        return found

    return make
