"""Turns records into what `json.dumps` takes: keys are field names, in the order of the record.

The shape that scripts rely on is therefore that of `ragstack.records`, nothing is renamed or left out here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any


def jsonable(value: object) -> Any:
    """`value` in dicts, lists, strings, numbers, booleans and None.

    Paths use `/`, times are ISO 8601, an enumeration is its value, a number that JSON cannot hold is
    None. Raises `TypeError` for anything else, rather than guess.
    """
    if isinstance(value, Enum):
        return jsonable(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        return [jsonable(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")
