"""Classifies IP addresses: forbidden (link-local, cloud metadata services), public, or private.

An IPv6 address can embed an IPv4 address that a translator or tunnel delivers to; the embedded one is checked too.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Cloud metadata services give credentials to every client on the machine; most have a link-local address.
METADATA_HOSTS = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
    }
)
_FORBIDDEN = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        # Amazon's and Google's metadata services over IPv6
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        # the metadata services of Alibaba and Oracle, and Azure's host agent
        "100.100.100.200/32",
        "192.0.0.192/32",
        "168.63.129.16/32",
    )
)
# the IPv6 addresses that are routed on the internet; site-local ones and segment identifiers are outside of it
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# prefixes whose last 32 bits are an IPv4 address: compatible, mapped, translated (RFC 2765), NAT64 (RFC 6052)
_EMBED_LAST_32 = tuple(
    ipaddress.ip_network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
# NAT64 for use within a site (RFC 8215), with a prefix of any length that RFC 6052 allows
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# upper half of the interface identifier in ISATAP (RFC 5214), whose lower half is the IPv4 address
_ISATAP = (0x00005EFE, 0x02005EFE)


def with_embedded(address: Address) -> tuple[Address, ...]:
    """Return the address itself and every IPv4 address embedded in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    result: list[Address] = [address]
    if any(address in network for network in _EMBED_LAST_32):
        result.append(last)
    if address in _LOCAL_NAT64:
        # after 48, 64 or 96 bits; bits 64 to 71 are skipped (RFC 6052, section 2.2)
        bits_48 = ((number >> 64) & 0xFFFF) << 16 | ((number >> 40) & 0xFFFF)
        result += [ipaddress.IPv4Address(bits_48), ipaddress.IPv4Address((number >> 24) & 0xFFFFFFFF), last]
    if (sixtofour := address.sixtofour) is not None:
        result.append(sixtofour)
    if (teredo := address.teredo) is not None:
        result += teredo
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        result.append(last)
    return tuple(result)


def is_forbidden(address: Address) -> bool:
    """Return whether the address is link-local or a metadata service's; no connection may use it."""
    return any(
        one in network for one in with_embedded(address) for network in _FORBIDDEN if network.version == one.version
    )


def is_public(address: Address) -> bool:
    """Return whether the address is on the public internet; of one with embedded addresses, whether those are."""
    first, *embedded = with_embedded(address)
    # ::1 and :: embed 0.0.0.1 and 0.0.0.0, which are not public either
    return all(
        one.is_global and not one.is_multicast and (one.version == 4 or one in _GLOBAL_UNICAST)
        for one in embedded or [first]
    )


def parsed(text: str) -> Address | None:
    """Return the address of a text as ``getaddrinfo`` returns it, without its zone; None if it is not an address."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
