"""What an IP address leads to, whatever form it is written in: this machine, a private network, a metadata service.

An IPv6 address can carry an IPv4 address to which a translator or a tunnel delivers it; the carried one is judged too.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# metadata services hand out credentials to whoever asks; most of them answer on a link-local address
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
# of IPv6, all that is routed on the internet; site-local addresses and segment identifiers lie outside
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# prefixes whose last 32 bits are an IPv4 address: compatible, mapped, translated (RFC 2765), NAT64 (RFC 6052)
_CARRY_LAST = tuple(
    ipaddress.ip_network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
# NAT64 prefixes of a site's own may be of any length that RFC 6052 knows
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
# ISATAP: the interface identifier names the IPv4 address
_ISATAP = (0x00005EFE, 0x02005EFE)


def carried(address: Address) -> tuple[Address, ...]:
    """Return the address itself and every IPv4 address that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    number = int(address)
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    found: list[Address] = [address]
    if any(address in network for network in _CARRY_LAST):
        found.append(last)
    if address in _LOCAL_NAT64:
        # after 48, 64 or 96 bits; bits 64 to 71 are left out
        bits_48 = ((number >> 64) & 0xFFFF) << 16 | ((number >> 40) & 0xFFFF)
        found += [ipaddress.IPv4Address(bits_48), ipaddress.IPv4Address((number >> 24) & 0xFFFFFFFF), last]
    if (sixtofour := address.sixtofour) is not None:
        found.append(sixtofour)
    if (teredo := address.teredo) is not None:
        found += teredo
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(last)
    return tuple(found)


def is_forbidden(address: Address) -> bool:
    """Whether no connection may lead there: link-local addresses and metadata services."""
    return any(one in network for one in carried(address) for network in _FORBIDDEN if network.version == one.version)


def is_public(address: Address) -> bool:
    """Whether the address, and each that it carries, is one of the public internet."""
    first, *others = carried(address)
    # a carrier is judged by what it carries; ::1 and :: carry 0.0.0.1 and 0.0.0.0, which are not public either
    judged = others or [first]
    return all(
        one.is_global and not one.is_multicast and (one.version == 4 or one in _GLOBAL_UNICAST) for one in judged
    )


def parsed(text: str) -> Address | None:
    """Return the address that a text such as ``getaddrinfo`` gives is; a zone is left out."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
