from __future__ import annotations

from store_fixtures import filled

__all__ = ["filled"]
