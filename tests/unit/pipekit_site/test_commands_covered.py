"""Every management command is called by a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# functions in tests that call or start a command by its name
CALLS = frozenset({"call_command", "call", "manage", "start"})
# those whose first argument is a list of the command's words
LISTS = frozenset({"start_in_new_interpreter", "run_in_new_interpreter"})


def called_words(source: str) -> Iterator[str]:
    """Yield string arguments of functions that call a command, and the elements of lists with ``manage.py``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            arguments = node.args if name in CALLS else []
            if name in LISTS and isinstance(node.args[0], ast.List):
                arguments = node.args[0].elts
        elif isinstance(node, ast.List) and "manage.py" in ast.unparse(node):
            arguments = node.elts
        else:
            continue
        yield from (word.value for word in arguments if isinstance(word, ast.Constant) and isinstance(word.value, str))


def test_every_command_is_called_by_a_test() -> None:
    files = ROOT.glob("*/management/commands/*.py")
    commands = {file.stem for file in files if not file.stem.startswith("_")}
    assert len(commands) > 20
    tests = (file for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__))
    words = {word for file in tests for word in called_words(file.read_text())}
    assert commands - words == set()


def test_a_command_that_is_only_mentioned_does_not_count_as_called() -> None:
    source = 'assert "prune" in text\ncall_command("tick")\nrun([sys.executable, "manage.py", "serve", "--port"])\n'
    source += 'start_in_new_interpreter(["notify"], environment)\n'
    assert set(called_words(source)) == {"tick", "manage.py", "serve", "--port", "notify"}
