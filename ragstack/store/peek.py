"""Reads from a store which model it was made with, before SQLAlchemy is imported.

Only what can be done meanwhile may rest on it: the store itself, once open, has the last word.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from urllib.parse import quote


def stored_model(database: Path) -> str | None:
    """The name of the model whose vectors are searched; None if that cannot be read at once."""
    address = f"file:{quote(database.resolve().as_posix())}?mode=rw"
    with contextlib.suppress(sqlite3.Error, ValueError, KeyError, TypeError):
        connection = sqlite3.connect(address, uri=True, timeout=0)
        try:
            connection.execute("PRAGMA query_only=ON")
            row = connection.execute("SELECT fingerprint FROM generations WHERE state = 'current'").fetchone()
            return str(json.loads(row[0])["name"]) if row else None
        finally:
            connection.close()
    return None
