"""Importing invalid files: all errors are reported at once, with line and key, and no secret is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from connections import registry
from connections.models import Connection
from pipekit_site import import_export
from pipekit_site.configfile.problems import FileInvalid
from tests.harness.importconfig import EXAMPLE, load

pytestmark = pytest.mark.django_db

INVALID = """\
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
    (30, "modules.qcrh.hooks[1].sql"): "needs SQL",
    (31, "modules.qcrh.hooks[2].run_on"): "expected one of before, success, failure, always",
    (33, "modules.qcrh.watermarks[1].connection"): "this key is missing",
    (33, "modules.qcrh.watermarks[1].resolver_sql"): "this key is missing",
    (34, "modules.qcrh.watermarks[2]"): "“since” is in this list twice",
    # reported although its connection is invalid too
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


def invalid(text: str | bytes, **options: bool) -> FileInvalid:
    """Import an invalid file and return the error."""
    with pytest.raises(FileInvalid) as caught:
        load(text, **options)  # type: ignore[arg-type]
    return caught.value


def test_every_error_is_reported_at_once_with_its_line() -> None:
    error = invalid(INVALID)
    messages = {(finding.line, finding.where): finding.message for finding in error.findings}
    assert set(messages) == set(EXPECTED)
    assert [key for key, message in EXPECTED.items() if message not in messages[key]] == []
    assert len(error.findings) == len(EXPECTED)
    assert error.message.startswith(f"config.yaml has {len(EXPECTED)} errors; nothing was imported.\n")
    assert (
        "\n  config.yaml, line 11: connections.odd name!.supports_deletes: expected true or false.\n" in error.message
    )


def test_an_invalid_file_changes_nothing() -> None:
    load(EXAMPLE)
    before = import_export.dump()
    invalid(INVALID)
    assert import_export.dump() == before


def test_a_reference_to_an_invalid_entry_is_not_reported_as_missing() -> None:
    error = invalid(EXAMPLE.replace("merge_strategy: incremental", "merge_strategy: incremantal"))
    assert [finding.where for finding in error.findings] == ["modules.qcrh.merge_strategy"]
    error = invalid(EXAMPLE.replace("driver: sqlite", "driver: sqlight"))
    assert [finding.where for finding in error.findings] == ["connections.erp.driver"]


def test_why_a_kind_of_an_installed_package_has_no_driver_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pk_stripped").mkdir()
    (tmp_path / "pk_stripped" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_third_party", lambda: {"stripped": "pk_stripped"})
    [finding] = invalid(EXAMPLE.replace("driver: sqlite", "driver: stripped")).findings
    assert finding.where == "connections.erp.driver"
    assert "there is no driver “stripped”. The package of the kind “stripped” has no connector.yaml" in finding.message
    assert "package data" in finding.message


@pytest.mark.default_cases(4)
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
    output = f"{error} {error.hint} {error.detail} {error.findings!r} {error.__cause__} {error.__context__}"
    if error.__suppress_context__:
        output = output.removesuffix(str(error.__context__))
    assert "unter2" not in output
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("jdbc_url", "postgresql://etl:hunter2@db/dw", "The URL contains a password"),
        ("username", "{password: hunter2}", "expected a text"),
        ("options", "{password: hunter2}", "“password” is not an option"),
        ("options", "'{password: hunter2}'", "Options must be a JSON object"),
        ("options", "{session: {password: hunter2}, embedded: [hunter2]}", "must be a"),
    ],
)
def test_a_password_in_another_field_is_not_repeated(key: str, value: str, message: str) -> None:
    fields = {"jdbc_url": "postgresql://db/dw", key: value}
    listed = ", ".join(f"{name}: {text}" for name, text in fields.items())
    error = invalid(f"connections: {{w: {{driver: postgresql, {listed}}}}}")
    assert f"connections.w.{key}: " in str(error) and message in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.default_cases(3)
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
def test_a_value_that_is_not_a_whole_number_is_refused_for_an_integer_field(value: str, message: str) -> None:
    error = invalid(EXAMPLE.replace("max_parallel: 2", f"max_parallel: {value}"))
    assert [(finding.where, message in finding.message) for finding in error.findings] == [
        ("groups.nightly.max_parallel", True)
    ]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "value", [".inf", ".nan", "-.inf", "!!float x", "!!int x", '"a\\0b"', "9" * 5000, "{a: 1, a: 2}"]
)
def test_options_must_be_representable_in_json(value: str) -> None:
    options = f"options: {{session: {{a: {value}}}}}"
    error = invalid(EXAMPLE.replace("username: etl", f"{options}\n    username: etl"))
    assert [finding.where for finding in error.findings] == ["connections.warehouse.options"]


def test_numbers_and_dates_in_text_fields_are_imported_as_written() -> None:
    load(EXAMPLE.replace("overlap: null", "overlap: 1000").replace("1900-01-01", "2001-12-14t21:59:43.10-05:00"))
    assert "    overlap: '1000'\n" in import_export.dump()
    assert "default_value: '2001-12-14t21:59:43.10-05:00'" in import_export.dump()


def test_the_error_of_a_required_null_value_mentions_no_default() -> None:
    required = invalid(EXAMPLE.replace("driver: sqlite", "driver: null"))
    assert "expected the name of a driver, not null." in str(required)
    optional = invalid(EXAMPLE.replace("merge_strategy: incremental", "merge_strategy: null"))
    assert "not null; leave the key out for its default." in str(optional)


def test_a_watermark_without_a_name_is_reported() -> None:
    error = invalid(EXAMPLE.replace("{name: since, ", "{"))
    assert "modules.qcrh.watermarks[1].name" in [finding.where for finding in error.findings]


def test_values_are_shortened_to_one_line_in_error_messages() -> None:
    error = invalid(EXAMPLE.replace("driver: sqlite", 'driver: "a\\nb' + "x" * 5000 + '"'))
    assert [len(error.findings), error.message.count("\n")] == [1, 1]
    assert len(str(error)) < 500


def test_only_some_of_many_valid_names_are_listed() -> None:
    connections = "".join(f"  c{number}: {{driver: sqlite, jdbc_url: /x.db}}\n" for number in range(100))
    error = invalid(f"connections:\n{connections}modules: {{m: {{source_connection: zzz}}}}\n")
    assert "and 70 more" in str(error)


def test_an_empty_name_is_refused() -> None:
    error = invalid('connections: {"": {driver: sqlite, jdbc_url: /x.db}}')
    assert "expected a name as the key, not an empty text." in str(error)
