"""Parsing of configuration files: YAML features that are refused, limits of size and depth, and syntax errors."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipekit_site.configfile import document
from pipekit_site.configfile.problems import FileInvalid
from tests.harness.importconfig import EXAMPLE, counts, load
from tests.integration.pipekit_site.importconfig.test_importconfig_errors import invalid

pytestmark = pytest.mark.django_db


def test_yaml_tags_are_refused() -> None:
    for tag in ("!!python/name:os.system", "!!python/object/apply:os.system", "!!set", "!!omap", "!own"):
        error = invalid(
            f"connections:\n  erp:\n    driver: sqlite\n    jdbc_url: jdbc:sqlite:/x\n    options: {{a: {tag} x}}"
        )
        assert error.findings[0].line == 5
        assert "tags are not allowed" in error.findings[0].message


def test_anchors_and_aliases_are_refused_before_they_are_expanded() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    error = invalid(bomb)
    assert (error.findings[0].line, len(error.findings)) == (1, 1)
    assert "anchors and aliases" in error.findings[0].message


@pytest.mark.parametrize("text", ["[" * 100_000, "a: {" * 50_000, "- " * 50_000, "? " * 50_000])
def test_a_deeply_nested_file_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    assert "nested too deeply" in str(invalid(text))
    assert time.process_time() - start < 5


def test_a_file_larger_than_4_mb_is_refused_without_parsing() -> None:
    start = time.process_time()
    assert "larger than 4 MB" in str(invalid("#" * (4 * 1024 * 1024 + 1)))
    assert time.process_time() - start < 1


def test_a_file_with_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_NODES", 1000)
    assert "there are too many values" in str(invalid("a: [" + "1," * 1000 + "]"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "null", "[]", "7", "version", "---\n---\na: 1", "a: 1\n---\nb: 1"])
def test_a_file_without_configuration_has_one_error(text: str) -> None:
    assert len(invalid(text).findings) == 1


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"version: 1\n\xff\n", 2),
        (b"a: 1\n\nb: \x07\n", 3),
        (b"a: 1\nb: [1\nc: 2\n", 3),
        (b"a: 1\n b: 2\n", 2),
        (b"\0", 1),
    ],
)
def test_invalid_yaml_is_reported_with_its_line(data: bytes, line: int) -> None:
    error = invalid(data)
    assert [finding.line for finding in error.findings] == [line]
    assert "this is not valid YAML" in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mangled_file_is_accepted_or_refused_with_findings(data: st.DataObject) -> None:
    """Files of cut, repeated and swapped lines raise no other exception, and a dry run imports no part of them."""
    lines = EXAMPLE.splitlines()
    pieces = data.draw(st.lists(st.sampled_from(lines), min_size=1, max_size=30))
    words = data.draw(
        st.lists(st.sampled_from(["null", "[]", "{}", "- x", "7", "''", "? a", "<<: {a: 1}"]), max_size=3)
    )
    text = "\n".join(re.sub(r"\bx\b", lambda _: words[0] if words else "x", piece) for piece in [*pieces, *words])
    try:
        load(text, dry_run=True)
    except FileInvalid as error:
        assert error.findings
    assert counts() == {"connections": 0, "modules": 0, "groups": 0, "schedules": 0}
