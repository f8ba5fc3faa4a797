"""ONNX files written by hand, so that no test needs the onnx package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

FLOAT = 1


def write_mean(file: Path, size: int, outputs: Sequence[str] = ("mean",), side: int | None = None) -> Path:
    """A model that gives the mean of each channel of pictures (B, 3, size, size), as (B, 3)."""
    nodes = b"".join(
        _field(1, _node("GlobalAveragePool", "picture", f"pooled_{each}"))
        + _field(1, _node("Flatten", f"pooled_{each}", each))
        for each in outputs
    )
    picture = _value("picture", ["batch", 3, side or size, side or size])
    given = b"".join(_field(12, _value(each, ["batch", 3])) for each in outputs)
    graph = nodes + _field(2, b"mean") + _field(11, picture) + given
    opset = _number(2, 13)
    file.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, opset))
    return file


def _node(kind: str, source: str, target: str) -> bytes:
    return _field(1, source.encode()) + _field(2, target.encode()) + _field(4, kind.encode())


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    dimensions = b"".join(
        _field(1, _field(2, each.encode()) if isinstance(each, str) else _number(1, each)) for each in shape
    )
    tensor = _number(1, FLOAT) + _field(2, dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
