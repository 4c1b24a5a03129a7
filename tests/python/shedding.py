"""Policies as module-level functions, for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rxpool._core import Signal

XDP_DROP, XDP_PASS = 1, 2
seen: list[tuple[int, int]] = []


def even_sources(packet: bytes, signal: Signal) -> int:
    """Keeps packets whose last source address byte is even."""
    return XDP_PASS if packet[29] % 2 == 0 else XDP_DROP


def port_9(packet: bytes, signal: Signal) -> int:
    """What drop_udp_port does for UDP without options, VLAN tags and IPv6."""
    udp = packet[12:14] == b"\x08\x00" and packet[23] == 17
    return XDP_DROP if udp and int.from_bytes(packet[36:38], "big") == 9 else XDP_PASS


def remembering(packet: bytes, signal: Signal) -> int:
    """Keeps what it is shown."""
    seen.append((len(packet), signal.abi))
    return XDP_PASS


def wrong(packet: bytes, signal: Signal) -> int:
    """Fails at the tenth packet."""
    seen.append((len(packet), signal.abi))
    if len(seen) == 10:
        raise ZeroDivisionError("tenth packet")
    return XDP_PASS


def no_number(packet: bytes, signal: Signal) -> str:
    """Returns what is no verdict."""
    return "pass"


not_a_function = 5
