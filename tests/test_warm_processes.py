"""A command that is forked from a warm process ends, is signalled and is read as one that Python starts anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from tests import warm_processes
from tests.runs.commands import stopped, wait_until


def forked(*words: str, **environment: str) -> subprocess.Popen[str]:
    process = warm_processes.jrunner(words, env={**os.environ, **environment})
    assert isinstance(process, warm_processes.Forked) is (sys.platform == "linux")
    return process


def test_one_that_has_ended_before_anybody_looks_has_its_exit_code_and_output() -> None:
    processes = [forked("--help"), forked("--nonsense")]
    time.sleep(1)
    (helped, _), (_, refused) = (process.communicate(timeout=120) for process in processes)
    assert [process.returncode for process in processes] == [0, 2]
    assert helped.startswith("usage: ") and "--nonsense" in refused


def test_one_that_a_signal_ends_says_which() -> None:
    process = forked("--job", "-")
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: stopped(process.pid))
    assert process.poll() is None
    process.kill()
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == -signal.SIGKILL
    # nobody is there any more
    process.send_signal(signal.SIGTERM)


def test_one_whose_imports_would_be_others_is_started_anew() -> None:
    process = warm_processes.jrunner(["--help"], env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "mimalloc"})
    assert not isinstance(process, warm_processes.Forked)
    assert process.communicate(timeout=120)[0].startswith("usage: ")
