"""Maps of a policy as Python mappings.

Keys and values are numbers where BTF says so, named fields where it says that, bytes everywhere else. What can be read
can be written. Arrays also show their memory as numpy arrays, without a copy.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rxpool.errors import InputError

if TYPE_CHECKING:
    from rxpool._core import FieldDict, LoadedPolicy, MapDict

_ARRAYS = ("ARRAY", "PERCPU_ARRAY")


class PolicyMap(MutableMapping[Any, Any]):
    """One map. ``info`` says type, sizes and fields.

    ``map[key]`` gives a number, a dictionary of fields, or bytes; of a per-CPU map a list with one of them per CPU.
    Assigning takes the same, a numpy value, or bytes; of a per-CPU map one value for all CPUs, or a list.
    """

    def __init__(self, policy: LoadedPolicy, info: MapDict) -> None:
        self._policy = policy
        self.info = info
        self.name: str = info["name"]

    def __repr__(self) -> str:
        return f"PolicyMap({self.name}, {self.info['type']}, {len(self)} elements)"

    def __getitem__(self, key: Any) -> Any:
        value = self.read_bytes(self.key_bytes(key))
        if value is None:
            raise KeyError(key)
        return self.value_of(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.write_bytes(self.key_bytes(key), self.value_bytes(value))

    def __delitem__(self, key: Any) -> None:
        error = self._policy.erase(self.name, self.key_bytes(key))
        if error == -errno.ENOENT:
            raise KeyError(key)
        if error:
            raise InputError(f"map {self.name}: an element cannot be removed: {os.strerror(-error)}")

    def __iter__(self) -> Iterator[Any]:
        for key, _ in self._policy.dump(self.name):
            yield self.key_of(key)

    def __len__(self) -> int:
        return len(self._policy.dump(self.name))

    def read_bytes(self, key: bytes) -> bytes | None:
        """The value's bytes (per-CPU maps: of all CPUs in a row), or None."""
        return self._policy.read(self.name, key)

    def write_bytes(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Writes an element as bpf_map_update_elem does. Raises :class:`InputError` with the kernel's error."""
        if self.info["read_only"]:
            raise InputError(f"map {self.name}: constants are set when the policy is loaded (params)")
        error = self._policy.write(self.name, key, value, flags)
        if error:
            raise InputError(
                f"map {self.name}: writing {len(value)} bytes at key {key.hex() or '(none)'} gives "
                f"{errno.errorcode.get(-error, -error)}: {os.strerror(-error)}"
            )

    def raw(self) -> list[tuple[bytes, bytes]]:
        """All elements as bytes, in the map's order; queues and stacks in the order of pop, with empty keys."""
        return self._policy.dump(self.name)

    def drain(self) -> list[bytes]:
        """Takes the records of a ring buffer that were submitted since the last call."""
        return self._policy.drain(self.name)

    @property
    def array(self) -> npt.NDArray[Any]:
        """The memory of an ARRAY (one row per element) or PERCPU_ARRAY (CPU by element), no copy.

        Typed by BTF: a plain number, a structured dtype, or bytes. Writing to it writes the map.
        """
        if self.info["type"] not in _ARRAYS:
            raise InputError(f"map {self.name} is a {self.info['type']}: only arrays have memory to look at")
        whole = self._policy.array(self.name)
        dtype = numpy_type(self.info["value_fields"], self.info["value_size"])
        view = whole[:, :, : dtype.itemsize].view(dtype)[:, :, 0]  # values lie a multiple of 8 bytes apart
        if self.info["read_only"]:
            view.flags.writeable = False
        return view if self.info["type"] == "PERCPU_ARRAY" else view[0]

    def key_bytes(self, key: Any) -> bytes:
        """A key's bytes."""
        return encode(key, self.info["key_fields"], self.info["key_size"], f"map {self.name}: key")

    def value_bytes(self, value: Any) -> bytes:
        """A value's bytes."""
        what, fields, size = f"map {self.name}: value", self.info["value_fields"], self.info["value_size"]
        if isinstance(value, list) and self.info["per_element"] > 1 and len(value) == self.info["per_element"]:
            return b"".join(encode(one, fields, size, what) for one in value)
        if isinstance(value, bytes) and len(value) == size * self.info["per_element"]:
            return value
        return encode(value, fields, size, what)

    def key_of(self, key: bytes) -> Any:
        """What a key's bytes mean."""
        return decode(key, self.info["key_fields"])

    def value_of(self, value: bytes) -> Any:
        """What a value's bytes mean."""
        size, count = self.info["value_size"], self.info["per_element"]
        fields = self.info["value_fields"]
        if count == 1 and not self.info["type"].startswith("PERCPU"):
            return decode(value, fields)
        return [decode(value[i * size : (i + 1) * size], fields) for i in range(len(value) // max(size, 1))]


def numpy_type(fields: list[FieldDict], size: int) -> np.dtype[Any]:
    """The dtype of a key or value: a number, named fields, or bytes."""
    if not fields or _overlap(fields):
        return np.dtype((np.void, size))
    formats = [_format(field) for field in fields]
    if len(fields) == 1 and not fields[0]["name"]:
        plain: np.dtype[Any] = np.dtype(formats[0])
        return plain
    names = [field["name"] for field in fields]
    offsets = [field["offset"] for field in fields]
    structure: np.dtype[Any] = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})
    return structure


def decode(raw: bytes, fields: list[FieldDict]) -> Any:
    """Bytes as a number, a dictionary of fields, or themselves where BTF says nothing."""
    if not fields:
        return raw
    if len(fields) == 1 and not fields[0]["name"]:
        return _decode_field(raw, fields[0])
    return {field["name"]: _decode_field(raw, field) for field in fields}


def encode(value: Any, fields: list[FieldDict], size: int, what: str) -> bytes:
    """The inverse of :func:`decode`; fields that a dictionary leaves out are zero. Raises :class:`InputError`."""
    if isinstance(value, np.ndarray | np.generic) and not (isinstance(value, np.generic) and value.dtype.kind in "iub"):
        value = value.tobytes()
    if isinstance(value, bytes | bytearray | memoryview):
        if len(value) != size:
            raise InputError(f"{what}: {len(value)} bytes given, it has {size}")
        return bytes(value)
    out = bytearray(size)
    if isinstance(value, Mapping):
        known = {field["name"]: field for field in fields if field["name"]}
        for name, part in value.items():
            if name not in known:
                names = ", ".join(known) or "no named fields"
                raise InputError(f"{what}: no field '{name}'; it has {names}")
            _encode_field(out, known[name], part, f"{what}.{name}")
        return bytes(out)
    plain = fields[0] if len(fields) == 1 else None
    if plain is None and isinstance(value, int | np.integer) and not fields and size in (1, 2, 4, 8):
        plain = _plain(size)
    if plain is None or not isinstance(value, int | np.integer | list | tuple):
        raise InputError(f"{what}: give {'a dictionary of its fields or ' if fields else ''}{size} bytes")
    _encode_field(out, plain, value, what)
    return bytes(out)


def _plain(size: int) -> FieldDict:
    return {
        "name": "",
        "type": f"u{8 * size}",
        "offset": 0,
        "size": size,
        "element_size": size,
        "integer": True,
        "signed": False,
    }


def _decode_field(raw: bytes, field: FieldDict) -> Any:
    part = raw[field["offset"] : field["offset"] + field["size"]]
    if not field["integer"]:
        return part
    width = field["element_size"]
    numbers = [
        int.from_bytes(part[i : i + width], "little", signed=field["signed"]) for i in range(0, len(part), width)
    ]
    return numbers[0] if field["size"] == width else numbers


def _encode_field(out: bytearray, field: FieldDict, value: Any, what: str) -> None:
    begin, size, width = field["offset"], field["size"], field["element_size"]
    if isinstance(value, bytes | bytearray):
        part = bytes(value)
    elif field["integer"]:
        items = list(value) if isinstance(value, list | tuple) else [value]
        try:
            part = b"".join(_number(item, width, field["signed"]) for item in items)
        except (OverflowError, TypeError):
            raise InputError(f"{what} = {value} does not fit {field['type']}") from None
    else:
        raise InputError(f"{what}: give {size} bytes ({field['type']})")
    if len(part) != size:
        raise InputError(f"{what}: {len(part)} bytes given, {field['type']} has {size}")
    out[begin : begin + size] = part


def _number(value: Any, width: int, signed: bool) -> bytes:
    if not isinstance(value, int | np.integer):
        raise TypeError(value)
    return int(value).to_bytes(width, "little", signed=signed)


def _format(field: FieldDict) -> Any:
    if not field["integer"]:
        return (np.void, field["size"])
    kind = f"<{'i' if field['signed'] else 'u'}{field['element_size']}"
    count = field["size"] // field["element_size"]
    return kind if count == 1 else (kind, (count,))


def _overlap(fields: list[FieldDict]) -> bool:
    ends = [field["offset"] + field["size"] for field in fields]
    return any(later["offset"] < end for end, later in zip(ends, fields[1:], strict=False))
