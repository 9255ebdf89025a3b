"""Says numbers in the words in which people read them."""

from __future__ import annotations

_KIBIBYTE = 1024


def counted(number: int, noun: str) -> str:
    """`1 document`, `2,000 documents`; for nouns that take an s."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(count: int) -> str:
    """Bytes in the unit in which they are read most easily."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < _KIBIBYTE:
            break
        amount, unit = amount / _KIBIBYTE, larger
    return f"{amount:.0f} B" if unit == "B" else f"{amount:,.1f} {unit}"
