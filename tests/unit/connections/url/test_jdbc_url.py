"""Connection URLs: accepted forms, allowed properties, and rebuilding a URL from its parts."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import UrlInvalid
from connections.url.parse import ConnectionUrl, check, kind_of, parse_url, rebuild
from connections.url.property_check import PATTERNS

RULES = {kind: manifest.url for kind, manifest in registry.manifests().items() if manifest.url}
ALLOWED = {
    kind: {name: (allowed.name, PATTERNS[allowed.type]) for name, allowed in rules.properties.items()}
    for kind, rules in RULES.items()
}
FORMS = [
    ("jdbc:postgresql://h:5432/db?sslmode=require", "", {"host": "h", "port": 5432, "database": "db"}),
    ("postgresql://postgres:@/postgres?host=/tmp/pg", "", {"host": "/tmp/pg", "username": "postgres", "port": None}),
    ("postgresql://etl@db.example.com/dw", "", {"host": "db.example.com", "username": "etl", "database": "dw"}),
    ("postgresql:///dw?host=/opt/my%20data/pg&port=6543", "", {"host": "/opt/my data/pg", "port": 6543}),
    ("postgresql://%2Frun%2Fpostgresql/dw", "", {"host": "/run/postgresql", "port": None, "database": "dw"}),
    ("postgresql://etl@%2frun%2fmy%20pg:6543/dw", "", {"host": "/run/my pg", "port": 6543, "username": "etl"}),
    ("postgresql://h/My%20Db", "", {"database": "My Db"}),
    ("postgresql://etl@/My%20Db?host=/run/postgresql", "", {"database": "My Db", "host": "/run/postgresql"}),
    ("jdbc:postgresql://h/My%20Db%2e1?sslmode=require", "", {"database": "My Db.1"}),
    ("jdbc:mysql://h/My%20Db", "", {"database": "My Db"}),
    ("jdbc:sqlserver://h;databaseName=My Db", "", {"database": "My Db"}),
    ("/run/postgresql", "postgresql", {"host": "/run/postgresql", "database": ""}),
    ("postgres://[::1]:5433/dw", "", {"host": "::1", "port": 5433}),
    ("jdbc:mysql://h/db?useSSL=true", "", {"host": "h", "port": None, "form": "mysql"}),
    ("mysql://h:3307/db", "", {"port": 3307}),
    ("jdbc:mariadb://h:3306/db", "", {"kind": "mysql", "form": "mariadb"}),
    ("jdbc:sqlite:/data/x.db", "", {"path": "/data/x.db"}),
    ("sqlite:///data/x.db", "", {"path": "/data/x.db"}),
    ("sqlite:////data/x.db", "", {"path": "/data/x.db"}),
    ("/data/Übersicht der Kunden's.db", "sqlite", {"path": "/data/Übersicht der Kunden's.db"}),
    ("var/x.any", "duckdb", {"path": "var/x.any"}),
    ("jdbc:duckdb:/data/x.duckdb", "", {"path": "/data/x.duckdb"}),
    ("jdbc:as400://erp/QGPL;naming=system;date format=iso", "", {"host": "erp", "database": "QGPL"}),
    ("jdbc:as400://erp;libraries=*LIBL,A#1;portNumber=9471", "", {"port": 9471, "database": ""}),
    ("jdbc:sqlserver://h:1433;databaseName=x;encrypt=true", "", {"database": "x", "port": 1433}),
    ("jdbc:sqlserver://h\\inst;database=x", "", {"instance": "inst", "database": "x"}),
    ("jdbc:sqlserver://h\\inst:1444", "", {"instance": "inst", "port": 1444}),
    ("jdbc:sqlserver://h;instanceName=inst", "", {"instance": "inst"}),
    ("jdbc:oracle:thin:@//h:1521/svc.example", "", {"database": "svc.example", "form": "service"}),
    ("jdbc:oracle:thin:@h:1521/svc", "", {"database": "svc", "form": "service"}),
    ("jdbc:oracle:thin:@h:1521:ORCL", "", {"database": "ORCL", "form": "sid"}),
    ("jdbc:oracle:thin:@tcps://h:2484/svc", "", {"form": "tcps", "port": 2484}),
    ("jdbc:clickhouse://h/db", "", {"host": "h", "form": ""}),
    ("jdbc:ch:https://h:8443/db", "", {"kind": "clickhouse", "form": "https"}),
    ("clickhouse://h", "", {"database": ""}),
    ("jdbc:h2:mem:x;DB_CLOSE_DELAY=-1", "", {"form": "mem", "database": "x"}),
    ("jdbc:h2:file:/data/x;MODE=DB2", "", {"form": "file", "path": "/data/x"}),
    ("jdbc:h2:~/x", "", {"form": "file", "path": "~/x"}),
    ("jdbc:h2:tcp://h:9092//data/x", "", {"form": "tcp", "path": "/data/x", "port": 9092}),
    ("jdbc:snowflake://a.snowflakecomputing.com/?db=X&warehouse=W", "", {"host": "a.snowflakecomputing.com"}),
    ("jdbc:db2://h:50000/SAMPLE:sslConnection=true;", "", {"kind": "jdbc", "form": "db2", "database": "SAMPLE"}),
    ("jdbc:trino://h:8080/hive", "", {"kind": "jdbc", "form": "trino"}),
    ("jdbc:jtds:sqlserver://h/db;ssl=true", "", {"kind": "jdbc", "form": "jtds:sqlserver"}),
]


@pytest.mark.parametrize(("url", "kind", "expected"), FORMS, ids=[url for url, _, _ in FORMS])
def test_a_url_is_parsed_and_its_rebuilt_url_has_the_same_parts(
    url: str, kind: str, expected: dict[str, object]
) -> None:
    parsed = parse_url(url, kind)
    assert {name: getattr(parsed, name) for name in expected} == expected
    assert parse_url(rebuild(parsed), parsed.kind) == parsed
    assert rebuild(parse_url(rebuild(parsed))) == rebuild(parsed)


@pytest.mark.parametrize("valid_url", [url for url, kind, _ in FORMS if not kind])
def test_an_unknown_property_is_refused_by_name_in_every_form(valid_url: str) -> None:
    separator = "&" if "?" in valid_url else "?"
    if ";" in valid_url or re.match("jdbc:(h2|as400|sqlserver|duckdb|jtds)", valid_url):
        separator = ";"
    with pytest.raises(UrlInvalid, match="INITX") as caught:
        parse_url(f"{valid_url.rstrip(';')}{separator}INITX=RUNSCRIPT")
    assert "Expected: " in caught.value.hint


def test_the_kind_of_system_is_derived_from_the_url() -> None:
    assert kind_of("jdbc:as400://h") == "as400"
    assert kind_of("jdbc:mariadb://h/d") == "mysql"
    assert kind_of("JDBC:SQLServer://h") == "sqlserver"
    assert kind_of("/data/x.sqlite3") == "sqlite"
    assert kind_of("/data/x.duckdb") == "duckdb"
    assert kind_of("jdbc:snowflake://h") == "snowflake"
    assert kind_of("jdbc:teradata://h") == "jdbc"
    with pytest.raises(UrlInvalid, match="kind of system"):
        kind_of("/run/postgresql")


def test_the_generic_driver_checks_a_jdbc_url_by_the_rules_of_its_system() -> None:
    check("jdbc:postgresql://h/db?sslmode=require", "jdbc")
    with pytest.raises(UrlInvalid):
        check("jdbc:postgresql://h/db?socketFactory=x", "jdbc")
    with pytest.raises(UrlInvalid):
        check("postgresql://h/db", "jdbc")


def test_a_url_without_a_port_has_the_default_port_if_there_is_one() -> None:
    assert parse_url("jdbc:oracle:thin:@//h/x").port_or_default == 1521
    assert parse_url("jdbc:ch:https://h").port_or_default == 8443
    assert parse_url("jdbc:as400://h;secure=true").port_or_default == 9471
    assert parse_url("jdbc:sqlserver://h\\inst").port_or_default is None
    assert parse_url("/run/x", "postgresql").port_or_default is None
    assert parse_url("jdbc:trino://h/x").port_or_default is None


names = st.text(string.ascii_letters + string.digits + "_.$-", min_size=1, max_size=40)
hosts = st.from_regex(r"[a-z][a-z0-9]{0,10}(\.[a-z][a-z0-9-]{0,10}[a-z]){0,3}", fullmatch=True) | st.ip_addresses(
    network="10.0.0.0/8"
).map(str)
ports = st.none() | st.integers(1, 65535)


@st.composite
def network_urls(draw: st.DrawFn) -> ConnectionUrl:
    kind = draw(st.sampled_from(["postgresql", "mysql", "sqlserver", "clickhouse", "as400", "oracle"]))
    property_names = draw(st.lists(st.sampled_from([s for s, _ in ALLOWED[kind].values()]), unique=True, max_size=4))
    properties = {}
    for name in property_names:
        pattern = ALLOWED[kind][name.lower()][1]
        value = next((v for v in ("true", "5", "iso", "/x/y") if re.fullmatch(pattern, v)), None)
        if value and (kind, name) not in {("as400", "prompt"), ("postgresql", "sslmode")}:
            properties[name] = value
    properties.pop("authenticationScheme", None)
    return ConnectionUrl(
        kind=kind,
        host=draw(hosts),
        port=draw(ports),
        database=draw(names),
        properties=dict(sorted(properties.items())),
        form={"mysql": "mysql", "oracle": "service"}.get(kind, ""),
    )


@given(network_urls())
def test_the_parts_of_a_generated_url_are_parsed_from_it(url: ConnectionUrl) -> None:
    assert parse_url(rebuild(url), url.kind) == url


@given(st.sampled_from(FORMS), st.data())
def test_a_mutated_url_is_refused_or_has_only_allowed_parts(form: tuple[str, str, object], data: st.DataObject) -> None:
    url, kind, _ = form
    position = data.draw(st.integers(0, len(url)))
    inserted = data.draw(st.sampled_from(list("?;&=%#@\\/:,'\"(){}[] \n\0\u202e")) | st.text(max_size=3))
    mutated = url[:position] + inserted + url[position:]
    try:
        parsed = parse_url(mutated, kind)
    except UrlInvalid:
        return
    assert parse_url(rebuild(parsed), parsed.kind) == parsed
    host = "" if parsed.host.startswith("/") else parsed.host
    assert re.fullmatch(r"[A-Za-z0-9_.:-]*", host) and re.fullmatch(r"[A-Za-z0-9_.$#@ -]*", parsed.database)
    assert set(parsed.properties) <= {name for name, _ in ALLOWED[parsed.kind].values()}
