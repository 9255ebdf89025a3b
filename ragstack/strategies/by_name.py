"""The strategies by the names that users give them."""

from __future__ import annotations

from ragstack.errors import UsageError
from ragstack.strategies.full import read_full
from ragstack.strategies.hierarchical import read_hierarchy
from ragstack.strategies.rag import read_retrieved
from ragstack.strategies.sliding import read_windows
from ragstack.strategies.strategy import ContextStrategy, StrategyName

_STRATEGIES: dict[StrategyName, ContextStrategy] = {
    StrategyName.RAG: read_retrieved,
    StrategyName.FULL: read_full,
    StrategyName.SLIDING: read_windows,
    StrategyName.HIERARCHICAL: read_hierarchy,
}


def strategy_named(name: StrategyName | str) -> ContextStrategy:
    """The strategy of that name; raises UsageError if there is none."""
    try:
        return _STRATEGIES[StrategyName(name)]
    except ValueError as error:
        known = ", ".join(f"`{each}`" for each in StrategyName)
        raise UsageError(f"there is no strategy `{name}`", hint=f"use one of {known}") from error
