"""Typed reading of untrusted mappings: configuration files, GGUF metadata, server replies.

A missing or garbled field becomes an ArchitectureError that names the field and the file; nothing here
knows what the fields mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragstack.errors import ArchitectureError

# No real value is near these; a larger one is damage or malice, and would only cost memory later.
LARGEST_DIMENSION = 2**32
LARGEST_LAYER_COUNT = 4_096


class Fields:
    """A mapping with a name, whose values are checked when they are read.

    `prefix` is put before every field name, as GGUF puts the architecture's.
    """

    def __init__(self, values: Mapping[str, Any], source: str, *, prefix: str = "") -> None:
        self.values = values
        self.source = source
        self.prefix = prefix

    def missing(self, name: str) -> ArchitectureError:
        """The error for a field that is not there."""
        return ArchitectureError(
            f"{self.source} lacks the field `{self.prefix}{name}`",
            hint="the file is incomplete or describes another kind of model",
        )

    def garbled(self, name: str, wanted: str) -> ArchitectureError:
        """The error for a field whose value cannot be meant."""
        shown = repr(self.values.get(self.prefix + name))[:60]
        return ArchitectureError(
            f"{self.source}: the field `{self.prefix}{name}` is {shown}, not {wanted}",
            hint="the file is damaged or describes another kind of model",
        )

    def get(self, name: str) -> Any:
        """The raw value, None when absent or null."""
        return self.values.get(self.prefix + name)

    def optional_integer(self, *names: str, minimum: int = 1, maximum: int = LARGEST_DIMENSION) -> int | None:
        """The first of `names` that is present, as an integer in range; None when all are absent."""
        for name in names:
            value = self.get(name)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
                raise self.garbled(name, f"a whole number from {minimum} to {maximum}")
            return value
        return None

    def integer(
        self,
        *names: str,
        default: int | None = None,
        minimum: int = 1,
        maximum: int = LARGEST_DIMENSION,
    ) -> int:
        """Like `optional_integer`, but an absent field is `default`, or an error without one."""
        value = self.optional_integer(*names, minimum=minimum, maximum=maximum)
        if value is not None:
            return value
        if default is None:
            raise self.missing(names[0])
        return default

    def number(self, name: str) -> float | None:
        """A finite number, None when absent."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise self.garbled(name, "a number")
        return float(value)

    def boolean(self, name: str, default: bool) -> bool:
        """A truth value, `default` when absent."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.garbled(name, "true or false")
        return value

    def text(self, name: str, default: str = "") -> str:
        """A string, `default` when absent."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.garbled(name, "text")
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        """A nested mapping, empty when absent."""
        value = self.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self.garbled(name, "an object")
        return value

    def sequence(self, name: str, length: int) -> Sequence[Any] | None:
        """A list of exactly `length` values, None when absent or not a list."""
        value = self.get(name)
        if not isinstance(value, Sequence) or isinstance(value, str):
            return None
        if len(value) != length:
            raise self.garbled(name, f"a list of {length} values")
        return value

    def per_layer(self, name: str, layers: int, *, minimum: int = 0) -> tuple[int, ...] | None:
        """A field that is one integer for all layers or a list of one for each; None when absent."""
        listed = self.sequence(name, layers)
        if listed is None:
            value = self.optional_integer(name, minimum=minimum)
            return None if value is None else (value,) * layers
        return tuple(self._element(name, value, minimum) for value in listed)

    def _element(self, name: str, value: Any, minimum: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= LARGEST_DIMENSION:
            raise self.garbled(name, f"a list of whole numbers from {minimum}")
        return value
