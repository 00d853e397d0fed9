"""The parts of a connection URL, and the validation of each.

Only a database's name and a socket's directory are percent-decoded: once, and before they are validated.

Messages never repeat the text of a part, which may contain a misplaced password.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import unquote

from connections.sdk.errors import UrlInvalid
from connections.sdk.records import dataclass
from connections.url.addresses import METADATA_HOSTS, is_forbidden

# RFC 1123, and the underscore that occurs in names of Windows hosts and containers
_HOST = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_DATABASE = re.compile(r"[A-Za-z0-9_.$-]{1,128}")
# DB2 for i also allows # and @, which have no special meaning in its URLs
_LIBRARY = re.compile(r"[A-Za-z0-9_.$#@-]{1,128}")
_USERNAME = re.compile(r"[A-Za-z0-9_.$\\-]{1,128}")
_PATH = re.compile(r"""[^\x00-\x1f\x7f?;#%"<>|*\\${}`]{1,1024}""")
# directories of the kernel and of devices
_SYSTEM_DIRECTORIES = frozenset({"dev", "proc", "sys"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionUrl:
    """The parts of a URL. ``host`` is an IPv6 address without brackets, or the directory of PostgreSQL's Unix socket.

    ``path`` is the file of a file-based system (sqlite, duckdb, h2), or the path on the host; ``instance`` SQL Server's
    instance; ``form`` the variant of a kind that has several: mysql/mariadb, http/https, Oracle's service/tcps/sid,
    H2's mem/file/tcp, the sub-protocol of generic JDBC. ``default_port`` is the port of a URL without one.
    """

    kind: str
    host: str = ""
    port: int | None = None
    database: str = ""
    path: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    username: str = ""
    instance: str = ""
    form: str = ""
    default_port: int | None = field(default=None, compare=False)

    @property
    def is_file(self) -> bool:
        """Return whether the URL names a file on this machine."""
        return bool(self.path) and not self.host

    @property
    def is_socket(self) -> bool:
        """Return whether the host is the directory of a Unix socket."""
        return self.host.startswith("/")

    @property
    def canonical_host(self) -> str:
        """Return the one spelling of the host that all its spellings share: lower case, without a final dot."""
        return self.host.lower().rstrip(".")

    @property
    def port_or_default(self) -> int | None:
        """Return the port, or the default port; None for files, and for named instances, whose port is looked up."""
        if self.port or not self.host or self.is_socket or self.instance:
            return self.port
        return self.default_port


def host(text: str) -> str:
    """Return a validated host name or address, IPv6 without brackets."""
    if "," in text:
        raise _several_hosts()
    if text.startswith("[") and text.endswith("]"):
        return _address(text[1:-1])
    if not text:
        raise UrlInvalid("The URL names no host.", hint="")
    if not _HOST.fullmatch(text):
        raise UrlInvalid(
            "The host in the URL is not a host name or an IP address.",
            hint="Letters, digits, dots and hyphens; an IPv6 address in square brackets: [::1].",
        )
    last = text.rstrip(".").rsplit(".", 1)[-1].lower()
    # resolvers take 2130706433 and 0x7f.1 as addresses though they match the pattern of a name
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return _address(text)
    if text.rstrip(".").lower() in METADATA_HOSTS:
        raise UrlInvalid("The host in the URL is a metadata service.", hint="Name a database server.")
    return text


def _several_hosts() -> UrlInvalid:
    return UrlInvalid(
        "The URL names several hosts; a connection uses one.",
        hint="Name one host, or a name (in DNS, or of a proxy) that resolves to the current primary.",
    )


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text:
        raise UrlInvalid("The host in the URL is not a valid IP address.", hint="Write 192.0.2.1, or [2001:db8::1].")
    if is_forbidden(address):
        raise UrlInvalid(
            "The host in the URL is a link-local address, or a metadata service's.", hint="Name a database server."
        )
    return str(address)


def authority(text: str) -> tuple[str, int | None]:
    """Return host and port of ``host``, ``host:port`` or ``[v6]:port``."""
    if "@" in text:
        raise UrlInvalid(
            "The URL contains a user or a password.", hint="Leave them out: use the fields username and password."
        )
    if "," in text:
        raise _several_hosts()
    match = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(.*))?", text, re.DOTALL)
    if match is None:
        raise UrlInvalid(
            "The host and port in the URL are not valid.", hint="Write host:port; an IPv6 address in brackets."
        )
    return host(match[1]), None if match[2] is None else port(match[2])


def port(text: str) -> int:
    """Return the number of a port."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise UrlInvalid("The port in the URL is not a number from 1 to 65535.", hint="Write host:port.")
    return int(text)


def database(text: str, *, library: bool = False, blanks: bool = False) -> str:
    """Return a validated database name. ``blanks`` allows spaces within it, ``library`` the characters of DB2 for i."""
    checked = text.replace(" ", "_") if blanks and text == text.strip(" ") else text
    if not (_LIBRARY if library else _DATABASE).fullmatch(checked):
        raise UrlInvalid(
            "The database name in the URL is missing or has characters that are not allowed.",
            hint="Allowed are letters, digits and _ . $ -; at most 128 characters.",
        )
    return text


def decoded_database(text: str) -> str:
    """Return the validated name of a database that is percent-encoded in its URL."""
    if " " in text:
        raise UrlInvalid("The database name in the URL contains a space.", hint="Write it as %20.")
    return database(unquote(text), blanks=True)


def username(text: str) -> str:
    """Return the user name of ``user`` or ``user:``; a password is refused."""
    name, _, password = text.partition(":")
    if password or not _USERNAME.fullmatch(name):
        raise UrlInvalid(
            "The URL contains a password, or a user that is not a plain name.",
            hint="Leave them out: use the fields username and password.",
        )
    return name


def path(text: str) -> str:
    """Return the path without repeated slashes and ``.`` parts. Spaces and letters of any script are allowed."""
    if not _PATH.fullmatch(text) or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text):
        raise UrlInvalid(
            "The path in the URL is missing or has characters that are not allowed.",
            hint="Write the file's whole path, as /data/x.db, without ? ; # % and quotes.",
        )
    # a colon before the first slash ends a scheme (md:, s3:, file:)
    if ":" in text.split("/", 1)[0]:
        raise UrlInvalid("The path in the URL is not a local file.", hint="Write the file's whole path, as /data/x.db.")
    if text.endswith("/."):
        raise UrlInvalid("The path in the URL ends with “/.”.", hint="Write the file's whole path.")
    # the system takes /./proc and //proc as /proc
    parts = [part for part in text.split("/") if part not in ("", ".")]
    absolute = text.startswith("/")
    if ".." in parts or (absolute and parts and parts[0] in _SYSTEM_DIRECTORIES):
        raise UrlInvalid(
            "The path in the URL contains “..” or is in /dev, /proc or /sys.", hint="Write the file's whole path."
        )
    return f"{'/' if absolute else ''}{'/'.join(parts)}" or text


def pairs(text: str, separator: str) -> list[tuple[str, str]]:
    """Return (name, value) of each ``name=value``; empty items are skipped."""
    result = []
    for part in text.split(separator):
        if not part.strip(" "):
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise UrlInvalid("A property in the URL has no value.", hint=f"Write name=value{separator}name=value.")
        result.append((name.strip(" "), value))
    return result
