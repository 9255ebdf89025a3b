"""Opens the ZIP archives that office documents and e-books are, and refuses bombs before they are unpacked.

The sizes that an archive declares are binding: `zipfile` never yields more than an entry declares.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from ragstack.errors import LoadingError
from ragstack.loading.limits import Limits
from ragstack.loading.signatures import refuse_other_formats

_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode(
    "utf-16-le"
)  # the stream of an encrypted document [MS-OFFCRYPTO]
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_IS_ENCRYPTED = 0x1

_MAX_ENTRIES = 20_000
_SMALL_ENTRY = 1024 * 1024
"""Entries below this size are no bomb however well they compress; blank pages reach a ratio of 1,000."""


@contextmanager
def open_archive(data: bytes, limits: Limits, expected: str) -> Iterator[zipfile.ZipFile]:
    """The archive in `data`; `expected` (`a DOCX document`) is what the file claims to be.

    Raises LoadingError when it is no archive, is encrypted, or would unpack to more than `limits` allow, and
    turns what damaged archives make `zipfile` raise into one.
    """
    if not data.strip(b"\0"):
        raise LoadingError("the file is empty")
    refuse_encrypted(data)
    if not data.startswith(_ZIP_SIGNATURES):
        refuse_other_formats(data, expected)
        raise LoadingError(f"not {expected}, though its name says so")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, limits)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, KeyError) as error:
        raise LoadingError(f"damaged, or not {expected}") from error


def refuse_encrypted(data: bytes) -> None:
    """Raise LoadingError for an encrypted office document, which is a compound file and no archive."""
    if data.startswith(_COMPOUND_FILE) and _ENCRYPTED_PACKAGE in data:
        raise password_protected()


def password_protected() -> LoadingError:
    """The refusal of a file that cannot be read without its password."""
    return LoadingError("password-protected", hint="save a copy without the password")


def member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    """The bytes of an entry, None when there is none of this name."""
    try:
        return archive.read(name)
    except KeyError:
        return None


def _check(archive: zipfile.ZipFile, limits: Limits) -> None:
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise LoadingError(f"holds {len(entries):,} parts, more than the limit of {_MAX_ENTRIES:,}")
    if any(entry.flag_bits & _IS_ENCRYPTED for entry in entries):
        raise password_protected()
    total = sum(entry.file_size for entry in entries)
    if total > limits.expanded_bytes:
        raise _bomb(f"unpacks to {total / 2**20:,.0f} MiB, more than the limit of "
                    f"{limits.expanded_bytes / 2**20:,.0f} MiB")  # fmt: skip
    for entry in entries:
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > _SMALL_ENTRY and ratio > limits.expansion:
            raise _bomb(f"a part of it unpacks to {ratio:,.0f} times its size, more than the limit of "
                        f"{limits.expansion}")  # fmt: skip


def _bomb(reason: str) -> LoadingError:
    return LoadingError(reason, hint="if you trust the file, raise `max_expansion` and read it again")
