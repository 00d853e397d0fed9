"""A wrong file: every error at once, with line, key and what was expected; no secret repeated; nothing harmful read."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connections.models import Connection
from pipekit_site import config_yaml
from pipekit_site.configfile import document
from pipekit_site.configfile.problems import FileInvalid
from tests.benches.config_yaml import EXAMPLE, counts, load

pytestmark = pytest.mark.django_db

WRONG = """\
version: 2
conections: {}
connections:
  erp:
    driver: sqllite
    jdbc_url: jdbc:sqlite:/data/erp.db
    suports_deletes: true
  odd name!:
    driver: sqlite
    jdbc_url: jdbc:sqlite:/x.db
    supports_deletes: "yes"
    max_parallel: many
  warehouse:
    driver: postgresql
    jdbc_url: jdbc:postgresql://127.0.0.1:5432/dw
    password: hunter2
  lonely:
    driver: postgresql
modules:
  qcrh:
    source_connection: erp
    dest_connection: warehous
    dest_table: sync.qcrh
    source_query: SELECT a AS b FROM t
    merge_strategy: incremantal
    enabled: true
    enabled: false
    full_refresh_cron: 61 * * * *
    hooks:
      - sql: ""
      - {run_on: never, sql: x}
    watermarks:
      - {name: since}
      - {name: since, connection: warehouse, resolver_sql: x}
  orders:
    source_connection: odd name!
    dest_connection: warehouse
    dest_table: sync.orders
    source_query: SELECT "DCORD#" AS dcord FROM t
    merge_strategy: upsert
    merge_key: dcord#
  items: 7
groups:
  nightly: {on_failure: [stop], members: [{module: qcrh}, {module: qcrg}, {module: qcrh}, orders]}
schedules:
  both: {group: nightly, module: orders, cron_expr: 0 4 * * *, timezone: Europe/Berlim}
  neither: {cron_expr: nope}
"""
EXPECTED = {
    (1, "version"): "expected 1",
    (2, "conections"): "did you mean connections?",
    (5, "connections.erp.driver"): "there is no driver “sqllite”; expected one of as400,",
    (7, "connections.erp.suports_deletes"): "did you mean supports_deletes?",
    (8, "connections.odd name!"): "Use letters, digits",
    (11, "connections.odd name!.supports_deletes"): "expected true or false.",
    (12, "connections.odd name!.max_parallel"): "expected a whole number.",
    (16, "connections.warehouse.password"): "A password is not stored here.",
    (17, "connections.lonely.jdbc_url"): "this key is missing, and it has no default.",
    (22, "modules.qcrh.dest_connection"): "there is no connection “warehous”",
    (25, "modules.qcrh.merge_strategy"): "expected one of full, incremental, append, upsert; did you mean incremental?",
    (27, "modules.qcrh.enabled"): "this key is repeated, first in line 26",
    (28, "modules.qcrh.full_refresh_cron"): "a number is out of range",
    (30, "modules.qcrh.hooks[1].sql"): "needs SQL to run",
    (31, "modules.qcrh.hooks[2].run_on"): "expected one of before, success, failure, always",
    (33, "modules.qcrh.watermarks[1].connection"): "this key is missing",
    (33, "modules.qcrh.watermarks[1].resolver_sql"): "this key is missing",
    (34, "modules.qcrh.watermarks[2]"): "“since” is in this list twice",
    # its connection is wrong too, and was saved as far as it is right
    (41, "modules.orders.merge_key"): "did you mean dcord?",
    (42, "modules.items"): "expected keys and values.",
    (42, "modules.items.source_connection"): "this key is missing",
    (42, "modules.items.dest_connection"): "this key is missing",
    (42, "modules.items.dest_table"): "this key is missing",
    (42, "modules.items.source_query"): "this key is missing",
    (44, "groups.nightly.on_failure"): "expected a text, not a list",
    (44, "groups.nightly.members[2].module"): "there is no module “qcrg”",
    (44, "groups.nightly.members[4]"): "expected keys and values. Write “- module: orders”.",
    (44, "groups.nightly.members[4].module"): "this key is missing",
    (46, "schedules.both"): "choose exactly one of the two",
    (46, "schedules.both.timezone"): "Write its IANA name, such as Europe/Berlin",
    (47, "schedules.neither"): "choose exactly one of the two",
    (47, "schedules.neither.cron_expr"): "a cron expression has five",
}


def invalid(text: str | bytes, **wishes: bool) -> FileInvalid:
    with pytest.raises(FileInvalid) as caught:
        load(text, **wishes)  # type: ignore[arg-type]
    return caught.value


def test_every_error_is_reported_at_once_with_its_line() -> None:
    error = invalid(WRONG)
    found = {(finding.line, finding.where): finding.message for finding in error.findings}
    assert set(found) == set(EXPECTED)
    assert [key for key, message in EXPECTED.items() if message not in found[key]] == []
    assert len(error.findings) == len(EXPECTED)
    assert error.message.startswith(f"config.yaml has {len(EXPECTED)} errors; nothing was imported.\n")
    assert (
        "\n  config.yaml, line 11: connections.odd name!.supports_deletes: expected true or false.\n" in error.message
    )


def test_a_wrong_file_changes_nothing() -> None:
    load(EXAMPLE)
    before = config_yaml.dump()
    invalid(WRONG)
    assert config_yaml.dump() == before


def test_what_refers_to_something_wrong_is_not_called_dangling() -> None:
    error = invalid(EXAMPLE.replace("merge_strategy: incremental", "merge_strategy: incremantal"))
    assert [finding.where for finding in error.findings] == ["modules.qcrh.merge_strategy"]
    error = invalid(EXAMPLE.replace("driver: sqlite", "driver: sqlight"))
    assert [finding.where for finding in error.findings] == ["connections.erp.driver"]


@pytest.mark.parametrize(
    "password",
    [
        "hunter2",
        "'$hunter2'",
        "$hunter2",
        "'$DW_PW hunter2'",
        "${hunter2}",
        "!hunter2 x",
        "!hunter2",
        "!h!unter2 x",
        "*hunter2",
        "&hunter2 x",
        '"hunter2',
        "'hunter2",
        "%hunter2",
        "{hunter2",
        "[hunter2]",
        "{hunter2: 1}",
        "!!python/object/apply:os.system [hunter2]",
        "!!binary aHVudGVyMg==",
        "|\n hunter2",
        "hunter2\n   hunter2: 1",
        "hunter2: 1",
        "hunter2\t: 1",
        "\x01hunter2",
    ],
)
def test_a_literal_password_is_refused_and_never_repeated(password: str) -> None:
    error = invalid(EXAMPLE.replace("password: $DW_PW", f"password: {password}"))
    said = f"{error} {error.hint} {error.detail} {error.findings!r} {error.__cause__} {error.__context__}"
    if error.__suppress_context__:
        said = said.removesuffix(str(error.__context__))
    assert "unter2" not in said
    assert not Connection.objects.exists()


@pytest.mark.parametrize("key", ["jdbc_url", "username", "options"])
def test_a_password_in_the_wrong_place_is_not_repeated_either(key: str) -> None:
    values = {
        "jdbc_url": "postgresql://etl:hunter2@db/dw",
        "username": "{password: hunter2}",
        "options": "{password: hunter2}",
    }
    error = invalid(
        f"connections: {{w: {{driver: postgresql, jdbc_url: '', {key}: '{values[key]}'}}}}".replace(
            "jdbc_url: '', jdbc", "jdbc"
        )
    )
    assert "hunter2" not in str(error)


def test_tags_that_make_objects_are_refused() -> None:
    for tag in ("!!python/name:os.system", "!!python/object/apply:os.system", "!!set", "!!omap", "!own"):
        error = invalid(
            f"connections:\n  erp:\n    driver: sqlite\n    jdbc_url: jdbc:sqlite:/x\n    options: {{a: {tag} x}}"
        )
        assert error.findings[0].line == 5
        assert "tags are not allowed" in error.findings[0].message


def test_anchors_and_aliases_are_refused_before_they_can_grow() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    error = invalid(bomb)
    assert (error.findings[0].line, len(error.findings)) == (1, 1)
    assert "anchors and aliases" in error.findings[0].message


@pytest.mark.parametrize("text", ["[" * 100_000, "a: {" * 50_000, "- " * 50_000, "? " * 50_000])
def test_a_file_nested_without_end_is_refused(text: str) -> None:
    started = time.process_time()
    assert "nested too deeply" in str(invalid(text))
    assert time.process_time() - started < 5


def test_a_file_larger_than_any_configuration_is_refused_unread() -> None:
    started = time.process_time()
    assert "larger than 4 MB" in str(invalid("#" * (4 * 1024 * 1024 + 1)))
    assert time.process_time() - started < 1


def test_a_file_of_values_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_NODES", 1000)
    assert "there are too many values" in str(invalid("a: [" + "1," * 1000 + "]"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "null", "[]", "7", "version", "---\n---\na: 1", "a: 1\n---\nb: 1"])
def test_a_file_that_is_no_configuration_is_one_clear_error(text: str) -> None:
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
def test_what_is_no_yaml_is_told_with_its_line(data: bytes, line: int) -> None:
    error = invalid(data)
    assert [finding.line for finding in error.findings] == [line]
    assert "this is not valid YAML" in str(error)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.5", "whole number"),
        ("'4'", "whole number"),
        ("010", "whole number"),
        ("1:30", "whole number"),
        ("true", "whole number"),
        ("null", "not null; leave the key out for its default"),
        ("[4]", "whole number, not a list"),
        ("9" * 5000, "whole number"),
        ("-1", "greater than or equal to"),
    ],
)
def test_a_number_is_a_whole_number(value: str, message: str) -> None:
    error = invalid(EXAMPLE.replace("max_parallel: 2", f"max_parallel: {value}"))
    assert [(finding.where, message in finding.message) for finding in error.findings] == [
        ("groups.nightly.max_parallel", True)
    ]


@pytest.mark.parametrize(
    "value", [".inf", ".nan", "-.inf", "!!float x", "!!int x", '"a\\0b"', "9" * 5000, "{a: 1, a: 2}"]
)
def test_options_hold_only_what_json_can(value: str) -> None:
    options = f"options: {{session: {{a: {value}}}}}"
    error = invalid(EXAMPLE.replace("username: etl", f"{options}\n    username: etl"))
    assert [finding.where for finding in error.findings] == ["connections.warehouse.options"]


def test_numbers_and_dates_are_taken_as_they_are_written_where_a_text_belongs() -> None:
    load(EXAMPLE.replace("overlap: null", "overlap: 1000").replace("1900-01-01", "2001-12-14t21:59:43.10-05:00"))
    assert "    overlap: '1000'\n" in config_yaml.dump()
    assert "default_value: '2001-12-14t21:59:43.10-05:00'" in config_yaml.dump()


# three times as many where they are drawn at random; in the default run they are the same each time
@settings(
    max_examples=settings().max_examples * (1 if settings().derandomize else 3),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_mangled_file_is_refused_with_findings_or_taken_whole(data: st.DataObject) -> None:
    """Cut, doubled and swapped pieces: never another exception, and never half of it."""
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


def test_a_required_value_that_is_null_has_no_default_to_speak_of() -> None:
    required = invalid(EXAMPLE.replace("driver: sqlite", "driver: null"))
    assert "expected the name of a driver, not null." in str(required)
    optional = invalid(EXAMPLE.replace("merge_strategy: incremental", "merge_strategy: null"))
    assert "not null; leave the key out for its default." in str(optional)


def test_the_name_that_a_watermark_lacks_is_named() -> None:
    error = invalid(EXAMPLE.replace("{name: since, ", "{"))
    assert "modules.qcrh.watermarks[1].name" in [finding.where for finding in error.findings]


def test_what_a_file_says_is_repeated_on_one_line_and_not_at_length() -> None:
    error = invalid(EXAMPLE.replace("driver: sqlite", 'driver: "a\\nb' + "x" * 5000 + '"'))
    assert [len(error.findings), error.message.count("\n")] == [1, 1]
    assert len(str(error)) < 500


def test_of_very_many_names_only_some_are_listed() -> None:
    many = "".join(f"  c{number}: {{driver: sqlite, jdbc_url: /x.db}}\n" for number in range(100))
    error = invalid(f"connections:\n{many}modules: {{m: {{source_connection: zzz}}}}\n")
    assert "and 70 more" in str(error)


def test_an_empty_name_is_one_clear_error() -> None:
    error = invalid('connections: {"": {driver: sqlite, jdbc_url: /x.db}}')
    assert "expected a name as the key, not an empty text." in str(error)
