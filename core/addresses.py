"""Where a request came from: the peer, or what the proxies that are counted as ours say. Nobody else is believed."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest


def client_address(source: HttpRequest | Mapping[str, Any]) -> str | None:
    """The address behind a Django request or an ASGI scope; None where there is none, as on a unix socket."""
    if isinstance(source, HttpRequest):
        peer, forwarded = source.META.get("REMOTE_ADDR", ""), source.META.get("HTTP_X_FORWARDED_FOR", "")
    else:
        peer = (source.get("client") or ("",))[0]
        forwarded = ",".join(
            value.decode("latin-1") for name, value in source.get("headers", []) if name == b"x-forwarded-for"
        )
    proxies: int = settings.TRUSTED_PROXY_COUNT
    hops = [hop for hop in forwarded.split(",") if hop.strip()]
    if proxies and len(hops) >= proxies:
        return _address(hops[-proxies])
    return _address(peer or "")


def client_network(source: HttpRequest | Mapping[str, Any]) -> str | None:
    """What limits count as one address: an IPv6 provider gives each customer a /64 of them."""
    found = client_address(source)
    if found is None or ":" not in found:
        return found
    address = ipaddress.IPv6Address(found)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)


def _address(text: str) -> str | None:
    """An IP address in its plain form, without brackets, port or zone."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
