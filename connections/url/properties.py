"""The properties allowed in connection URLs, by kind. All others are refused.

They set TLS, timeouts, names and formats. None makes a driver run SQL, load a class, read or write arbitrary files, or
open another connection, be it on a server's request: those can be used for attacks.
"""

from __future__ import annotations

import re

from connections.sdk.errors import UrlInvalid
from connections.url import parts

_BOOL = r"(?i:true|false|yes|no|0|1)"
_INT = r"-?[0-9]{1,9}"
_WORD = r"[A-Za-z0-9_.$-]{1,128}"
_LIST = r"[A-Za-z0-9_.$#*, -]{1,512}"
_TEXT = r"[A-Za-z0-9_., :/-]{0,128}"
_ZONE = r"[A-Za-z0-9_/:-]{1,64}"
_PATH = r"/(?:[A-Za-z0-9_@ -][A-Za-z0-9_.@ -]*/)*[A-Za-z0-9_@-][A-Za-z0-9_.@ -]*"
_MARK = r"[A-Za-z/.,: -]{1,5}"


def _table(**patterns: str) -> dict[str, tuple[str, str]]:
    """Return lower-case name -> (the driver's spelling, pattern of the value), from space-separated names by type."""
    words = {"bools": _BOOL, "ints": _INT, "words": _WORD, "lists": _LIST, "texts": _TEXT, "zones": _ZONE}
    words |= {"paths": _PATH, "marks": _MARK}
    return {name.lower(): (name, words[key]) for key, names in patterns.items() for name in _names(names)}


def _names(text: str) -> list[str]:
    # a space within a name, as in JTOpen's, is written as "~"
    return [name.replace("~", " ") for name in text.split()]


ALLOWED: dict[str, dict[str, tuple[str, str]]] = {
    "postgresql": _table(
        bools="ssl tcpKeepAlive reWriteBatchedInserts readOnly",
        ints="connectTimeout connect_timeout loginTimeout socketTimeout defaultRowFetchSize prepareThreshold",
        words="sslmode targetServerType target_session_attrs channel_binding gssEncMode",
        lists="currentSchema",
        texts="ApplicationName application_name",
        paths="sslrootcert sslcert sslkey",
    ),
    "mysql": _table(
        bools="useSSL requireSSL verifyServerCertificate tcpKeepAlive useUnicode tinyInt1isBit yearIsDateType"
        " useCursorFetch useCompression useServerPrepStmts rewriteBatchedStatements allowPublicKeyRetrieval"
        " forceConnectionTimeZoneToSession preserveInstants transformedBitIsBoolean",
        ints="connectTimeout socketTimeout defaultFetchSize",
        words="sslMode characterEncoding connectionCollation zeroDateTimeBehavior",
        lists="tlsVersions enabledTLSProtocols enabledSslProtocolSuites",
        zones="serverTimezone connectionTimeZone timezone",
        paths="serverSslCert",
    ),
    "sqlserver": _table(
        bools="trustServerCertificate multiSubnetFailover sendStringParametersAsUnicode sendTimeAsDatetime"
        " integratedSecurity",
        ints="loginTimeout socketTimeout queryTimeout lockTimeout cancelQueryTimeout packetSize connectRetryCount"
        " connectRetryInterval",
        words="encrypt hostNameInCertificate applicationIntent responseBuffering selectMethod workstationID domain"
        " authenticationScheme",
        texts="applicationName",
    ),
    "as400": _table(
        bools="translate~binary prefetch thread~used secure keep~alive data~truncation extended~metadata"
        " true~autocommit cursor~hold variable~field~compression prompt",
        ints="block~size block~criteria lob~threshold login~timeout socket~timeout ccsid package~ccsid"
        " maximum~precision maximum~scale minimum~divide~scale query~optimize~goal metadata~source"
        " concurrent~access~resolution bidi~string~type",
        words="naming errors sort sort~language sort~weight date~format time~format timestamp~format"
        " cursor~sensitivity remarks decfloat~rounding~mode sort~table",
        lists="libraries transaction~isolation access",
        marks="date~separator time~separator decimal~separator",
    ),
    "oracle": _table(
        bools="oracle.net.ssl_server_dn_match ssl_server_dn_match oracle.jdbc.J2EE13Compliant"
        " oracle.jdbc.mapDateToTimestamp",
        ints="oracle.net.CONNECT_TIMEOUT oracle.jdbc.ReadTimeout oracle.jdbc.defaultRowPrefetch defaultRowPrefetch"
        " connect_timeout transport_connect_timeout",
        words="oracle.net.ssl_version",
        texts="v$session.program",
    ),
    "clickhouse": _table(
        bools="ssl compress decompress use_server_time_zone",
        ints="connect_timeout connection_timeout socket_timeout max_execution_time max_result_rows",
        words="sslmode database",
        texts="client_name",
        zones="use_time_zone session_timezone",
        paths="sslrootcert",
    ),
    "h2": _table(
        bools="DB_CLOSE_ON_EXIT DATABASE_TO_UPPER DATABASE_TO_LOWER CASE_INSENSITIVE_IDENTIFIERS IFEXISTS IGNORECASE",
        ints="DB_CLOSE_DELAY LOCK_TIMEOUT CACHE_SIZE QUERY_TIMEOUT NETWORK_TIMEOUT",
        words="MODE SCHEMA ACCESS_MODE_DATA DEFAULT_NULL_ORDERING",
        lists="NON_KEYWORDS",
        zones="TIME~ZONE",
    ),
    "snowflake": _table(
        bools="CLIENT_SESSION_KEEP_ALIVE ocspFailOpen",
        ints="loginTimeout networkTimeout queryTimeout",
        words="db schema warehouse role JDBC_QUERY_RESULT_FORMAT",
        texts="application",
        zones="TIMEZONE",
    ),
    "sqlite": _table(ints="busy_timeout cache_size"),
    "duckdb": _table(ints="threads", words="memory_limit access_mode"),
    "jdbc": _table(
        bools="ssl sslConnection useSSL encrypt trustServerCertificate tcpKeepAlive readOnly",
        ints="connectTimeout loginTimeout socketTimeout queryTimeout fetchSize defaultFetchSize"
        " blockingReadConnectionTimeout",
        words="sslMode databaseName database schema currentSchema catalog warehouse role",
        lists="tlsVersions",
        texts="ApplicationName clientProgramName",
        zones="timeZone",
    ),
}
# properties of which only some values are safe
_CHOICES = {
    ("as400", "prompt"): frozenset({"false"}),
    ("sqlserver", "authenticationScheme"): frozenset({"NTLM", "nativeAuthentication"}),
    ("postgresql", "sslmode"): frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
}
_CREDENTIAL = re.compile(r"(?i).*(pass|pwd|secret|token|credential|api_?key).*|user.*|uid")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.$ -]{0,63}")


def checked(pairs: list[tuple[str, str]], kind: str) -> dict[str, str]:
    """Return the properties sorted, in the driver's spelling. Raises UrlInvalid with the name of a refused one."""
    for name, _ in pairs:
        if _CREDENTIAL.fullmatch(name):
            raise UrlInvalid(
                "The URL contains a user or a password.", hint="Leave them out: use the fields username and password."
            )
    properties: dict[str, str] = {}
    for name, value in pairs:
        spelled = _check(name, value, kind)
        if spelled in properties:
            raise UrlInvalid(f"The URL contains the property “{spelled}” twice.", hint="Write it once.")
        properties[spelled] = value
    return dict(sorted(properties.items()))


def _check(name: str, value: str, kind: str) -> str:
    """Return the driver's spelling of the name. Raises UrlInvalid if name or value is not allowed."""
    allowed = ALLOWED[kind]
    if name.lower() not in allowed:
        shown = f"“{name}”" if _NAME.fullmatch(name) else "with special characters in its name"
        names = ", ".join(sorted((spelled for spelled, _ in allowed.values()), key=str.lower))
        raise UrlInvalid(f"The property {shown} is not allowed in the URL.", hint=f"Allowed for {kind}: {names}.")
    spelled, pattern = allowed[name.lower()]
    choices = _CHOICES.get((kind, spelled))
    if not re.fullmatch(pattern, value) or (choices and value not in choices):
        expected = f"one of {', '.join(sorted(choices))}" if choices else "a plain value without special characters"
        raise UrlInvalid(f"The value of the property “{spelled}” is not valid.", hint=f"Expected {expected}.")
    if pattern == _PATH:
        parts.path(value)
    return spelled
