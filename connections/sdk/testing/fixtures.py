"""Fixtures of the suite: the connector's workbench, and a check that each test releases everything."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from connections.sdk.testing.case import ConnectorUnderTest
from connections.sdk.testing.workbench import Workbench

# seconds for threads and connections to end by themselves
_RELEASE = 5.0
_DESCRIPTORS = "/dev/fd"
_loaded = set[str]()


class Fixtures:
    """Base class of the suite's parts."""

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest, connector_under_test: ConnectorUnderTest) -> Iterator[Workbench]:
        """The workbench of the connector; its tables are dropped after the test."""
        name = request.node.originalname
        if gap := connector_under_test.known_gaps.get(name):
            request.applymarker(pytest.mark.xfail(reason=gap, run=False))
        workbench = Workbench(connector_under_test)
        yield workbench
        workbench.drop_all()

    @pytest.fixture(autouse=True)
    def nothing_leaks(self, bench: Workbench) -> Iterator[None]:
        """Fail a test after which a thread, a file or a socket is left that was not there before."""
        if bench.parameters.kind not in _loaded:
            # what the first connection of a process loads is no leak
            bench.rows("SELECT 1")
            _loaded.add(bench.parameters.kind)
        threads, opened = set(threading.enumerate()), _open_descriptors()
        yield
        if bench.is_abandoned:
            return
        wait_for(lambda: not _new_threads(threads) and not _new_descriptors(opened), _RELEASE)
        assert not _new_threads(threads), "threads are still running"
        assert not _new_descriptors(opened), "files or sockets are still open"


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition is true; return whether it is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        # an abandoned generator holds its connection until it is collected
        gc.collect()
        time.sleep(0.02)
    return True


def _new_threads(before: set[threading.Thread]) -> list[str]:
    # threads of a pool are kept for the next task
    return [t.name for t in threading.enumerate() if t not in before and not t.name.startswith("asyncio_")]


def _open_descriptors() -> set[str]:
    """Return the open files and sockets as the kernel names them; empty where it does not say."""
    targets = set[str]()
    for number in os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ():
        try:
            targets.add(f"{number} {os.readlink(f'{_DESCRIPTORS}/{number}')}")
        except OSError:
            # the directory itself, which is closed again
            continue
    return targets


def _new_descriptors(before: set[str]) -> set[str]:
    return {name for name in _open_descriptors() - before if "anon_inode" not in name and "pipe:" not in name}
