"""What a program that uses the kernel could leave behind on this machine."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SYS_BPF = 321  # x86-64
PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID = 11, 13, 15, 30, 31
OURS = ("pace", "to_cpu", "snapshot", "on_hold", "on_poll", "on_release", "record")
THREADS = ("napi/lr", "cpumap/")


def bpf(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, command, attributes, len(attributes)))


def objects(get_next_id: int, get_fd_by_id: int) -> Iterator[bytes]:
    """The information of every program, or link, that this kernel holds."""
    attributes = ctypes.create_string_buffer(128)
    while bpf(get_next_id, attributes) == 0:
        number = struct.unpack_from("<I", attributes, 4)[0]
        wanted = ctypes.create_string_buffer(struct.pack("<I", number), 128)
        descriptor = bpf(get_fd_by_id, wanted)
        if descriptor >= 0:
            info = ctypes.create_string_buffer(256)
            asked = struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info))
            if bpf(OBJ_GET_INFO_BY_FD, ctypes.create_string_buffer(asked, 128)) == 0:
                yield info.raw
            os.close(descriptor)
        struct.pack_into("<I", attributes, 0, number)


def bpf_programs() -> dict[int, str]:
    """Names by id of the programs that this kernel holds; a link or an attachment holds its program."""
    found = {}
    for info in objects(PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID):
        found[struct.unpack_from("<I", info, 4)[0]] = info[64:80].rstrip(b"\0").decode()
    return found


def bpf_links() -> list[str]:
    """Names of the programs that a link attaches."""
    programs = bpf_programs()
    linked = (struct.unpack_from("<I", info, 8)[0] for info in objects(LINK_GET_NEXT_ID, LINK_GET_FD_BY_ID))
    return [programs.get(number, "") for number in linked]


def system_state() -> dict[str, Any]:
    """Network links here, named namespaces, threads, our BPF programs and links, pinned objects."""
    threads = []
    for entry in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = entry.read_text().strip()
        except OSError:
            continue
        if name.startswith(THREADS):
            threads.append(name)
    return {
        "links": sorted(entry.name for entry in Path("/sys/class/net").iterdir()),
        "namespaces": sorted(entry.name for entry in Path("/run/netns").glob("*")),
        "threads": sorted(threads),
        "programs": sorted(name for name in bpf_programs().values() if name in OURS),
        "bpf_links": sorted(name for name in bpf_links() if name in OURS),
        "pinned": sorted(str(entry) for entry in Path("/sys/fs/bpf").glob("**/*")),
    }


def quiet_state() -> dict[str, Any]:
    """The state once what an earlier use had is gone: the kernel frees programs a little later."""
    deadline = time.monotonic() + 20
    while (state := system_state())["programs"] and time.monotonic() < deadline:
        time.sleep(0.1)
    return state


def comes_back_to(before: dict[str, Any]) -> dict[str, Any]:
    """The state when it is as before, or after twenty seconds."""
    deadline = time.monotonic() + 20
    while (state := system_state()) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    return state
