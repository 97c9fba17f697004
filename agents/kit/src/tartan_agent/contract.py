"""The contract between Go and Python: JSON objects, described by dataclasses, checked before an activity sees them.

Rules: one object in, one out; names in snake_case; whole numbers below 2^53; times as RFC 3339; bytes as base64; no durations.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import TYPE_CHECKING, Any, cast

import temporalio.converter

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload

SAFE = 1 << 53


class RefusedError(ValueError):
    """The input is not what the activity takes; the text names the place and what belongs there. Never retried."""


class Contract:
    """What a dataclass looks like as JSON: its schema, and its reading."""

    def __init__(self, shape: type[Any]) -> None:
        """Take a dataclass whose fields are texts, numbers, booleans, lists, maps and other such dataclasses."""
        if not dataclasses.is_dataclass(shape):
            raise TypeError(f"{shape!r} is not a dataclass")
        self.shape = shape

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of the shape."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(self.shape)}

    def read(self, value: object) -> Any:
        """Make an instance of the shape out of parsed JSON. Unknown fields are let pass: contracts only grow."""
        return _read(self.shape, value, "$")


def _schema(shape: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(shape), typing.get_args(shape)
    if dataclasses.is_dataclass(shape):
        hints = typing.get_type_hints(shape)
        fields = dataclasses.fields(shape)
        required = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
        return {"type": "object", "properties": {f.name: _schema(hints[f.name]) for f in fields}, "required": required}
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(a) for a in args]}
    names = {str: "string", bool: "boolean", int: "integer", float: "number", types.NoneType: "null"}
    if shape in names:
        return {"type": names[shape]}
    raise TypeError(f"{shape!r} has no place in a contract")


def _read(shape: Any, value: object, at: str) -> Any:
    origin, args = typing.get_origin(shape), typing.get_args(shape)
    if dataclasses.is_dataclass(shape):
        if not isinstance(value, dict):
            raise RefusedError(f"{at}: an object is wanted, not {_name(value)}")
        hints, given, out = typing.get_type_hints(shape), cast("dict[str, object]", value), {}
        for f in dataclasses.fields(shape):
            if f.name in given:
                out[f.name] = _read(hints[f.name], given[f.name], f"{at}.{f.name}")
            elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                raise RefusedError(f"{at}.{f.name} is missing")
        return cast("Any", shape)(**out)
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise RefusedError(f"{at}: a list is wanted, not {_name(value)}")
        read = [_read(args[0], v, f"{at}[{i}]") for i, v in enumerate(cast("list[object]", value))]
        return tuple(read) if origin is tuple else read
    if origin is dict:
        if not isinstance(value, dict):
            raise RefusedError(f"{at}: an object is wanted, not {_name(value)}")
        return {k: _read(args[1], v, f"{at}.{k}") for k, v in cast("dict[str, object]", value).items()}
    if origin in (typing.Union, types.UnionType):
        for a in args:
            try:
                return _read(a, value, at)
            except RefusedError:
                continue
        raise RefusedError(f"{at}: {_name(value)} is none of {', '.join(getattr(a, '__name__', str(a)) for a in args)}")
    if shape is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise RefusedError(f"{at}: {value} is not a number that JSON knows")
        return float(value)
    if shape is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= SAFE:
            raise RefusedError(f"{at}: {value} is not below 2^53")
        return value
    if (shape is types.NoneType and value is None) or (shape in (str, bool) and isinstance(value, shape)):
        return value
    raise RefusedError(f"{at}: {getattr(shape, '__name__', shape)} is wanted, not {_name(value)}")


def _name(value: object) -> str:
    return "null" if value is None else type(value).__name__


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Stands for an input that is not what the contract says; the plugin refuses it."""

    why: str


class _Json(temporalio.converter.JSONPlainPayloadConverter):
    def from_payload(self, payload: Payload, type_hint: Any = None) -> Any:
        if not dataclasses.is_dataclass(type_hint):
            return super().from_payload(payload, type_hint)
        try:
            return Contract(cast("type[Any]", type_hint)).read(json.loads(payload.data))
        except (RefusedError, ValueError) as e:
            return Unreadable(str(e))  # the SDK would take an error here for one of its own, and try again for ever


class _Payloads(temporalio.converter.CompositePayloadConverter):
    def __init__(self) -> None:
        known = temporalio.converter.DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*[_Json() if isinstance(c, temporalio.converter.JSONPlainPayloadConverter) else c for c in known])


converter = dataclasses.replace(temporalio.converter.default(), payload_converter_class=_Payloads)
"""Reads the inputs of activities by their contract, and is the SDK's own in all else."""
