"""Calls of functions that take no timeout and cannot be stopped, such as those that resolve a host name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(look_up: Callable[[], T]) -> Future[T]:
    """Call a function that takes no timeout and cannot be stopped, such as ``getaddrinfo``.

    A thread of an executor would hold the process at its end until the resolver answers.
    """
    future = Future[T]()

    def work() -> None:
        # from now on it cannot be cancelled, so that a result can always be set
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(look_up())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future
