"""Frames and captures for the policy tests."""

from __future__ import annotations

import struct
from pathlib import Path


def udp_frame(destination_port: int, source_port: int = 1000, payload: int = 18) -> bytes:
    """An Ethernet frame with IPv4 and UDP, without FCS."""
    ethernet = bytes.fromhex("020000000002 020000000001 0800")
    ip = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 28 + payload, 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    )
    udp = struct.pack("!HHHH", source_port, destination_port, 8 + payload, 0)
    return ethernet + ip + udp + bytes(payload)


def write_pcap(path: Path, frames: list[bytes], *, gap_us: int = 1000, wire_extra: int = 0) -> Path:
    """A capture of Ethernet frames, ``gap_us`` apart; ``wire_extra`` bytes of each were not captured."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    for index, frame in enumerate(frames):
        at = index * gap_us
        out += struct.pack("<IIII", at // 1_000_000, at % 1_000_000, len(frame), len(frame) + wire_extra) + frame
    path.write_bytes(out)
    return path
