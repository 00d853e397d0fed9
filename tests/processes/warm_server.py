"""The warm process: imports the modules of a program and forks for each request that it receives."""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import socket
import sys
from importlib import import_module

from runs.jrunner import command

# modules that programs import, with those they depend on
_IMPORTS = {
    "manage.py": (
        *("django.contrib.admin", "runs.lifecycle.execute", "runs.management.commands.runmodule", "psycopg"),
        "sqlglot.dialects",
    ),
    # those of manage.py that read neither Django's settings nor Pipekit's variables when they are imported
    "manage.py without settings": (
        *("django.core.management.commands.migrate", "django.core.checks", "django.db.models", "django.forms"),
        *("django.db.backends.sqlite3.base", "django.contrib.admin", "django.contrib.staticfiles.finders"),
        *("django.template.loader", "django.test.client", "django.core.serializers.json"),
        *("whitenoise.runserver_nostatic", "rest_framework", "django_crontab", "psycopg", "sqlglot.dialects", "yaml"),
        *("psutil", "croniter", "environ", "tzlocal", "rich.console", "rich.table", "rich.progress"),
        *("runs.engine.sync", "connections.registry"),
    ),
    "runs.jrunner": (
        *("runs.jrunner.command", "runs.jrunner.flags_transfer", "runs.jrunner.routes.choose", "asyncpg", "psycopg"),
        *("pyarrow.compute", "duckdb", "pgpq", "adbc_driver_sqlite.dbapi", "adbc_driver_postgresql.dbapi"),
    ),
    "tests.processes.run_plan": ("runs.engine.sync", "psycopg"),
}


def serve(descriptor: int, program: str) -> None:
    """Import the program's modules and fork for each request that the socket receives; run the program in the fork."""
    name = os.path.basename(program)
    if name == "manage.py":
        import_module("django").setup()
    elif name == "runs.jrunner":
        # as jrunner does, before the libraries that read the environment are imported
        command.isolate()
    for module in _IMPORTS[name]:
        import_module(module)
    gc.freeze()
    # the intermediate processes, which wait for a program, are reaped by the system
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as requests:
        while True:
            data, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 4)
            if not data:
                return
            if os.fork() == 0:
                break
            for received in descriptors:
                os.close(received)
    _fork_program(descriptors)
    request = json.loads(data)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = [request["program"], *request["words"]]
    if request["program"].endswith(".py"):
        runpy.run_path(request["program"], run_name="__main__")
    else:
        runpy.run_module(request["program"], run_name="__main__", alter_sys=True)


def _fork_program(descriptors: list[int]) -> None:
    """Fork again: return in the child, with its streams; in this process, report its id, wait for it and exit."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, status = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(status)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        return
    for stream in streams:
        os.close(stream)
    os.write(status, f"{pid}\n".encode())
    # WNOWAIT: the id is not used again until the exit code has been reported
    exited = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert exited
    code = exited.si_status if exited.si_code == os.CLD_EXITED else -exited.si_status
    os.write(status, f"{code}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
