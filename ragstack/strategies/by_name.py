"""The strategies by the names that users give them; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from ragstack.errors import UsageError
from ragstack.strategies.strategy import ContextStrategy, StrategyName

_HOMES: Mapping[StrategyName, str] = {
    StrategyName.RAG: "ragstack.strategies.rag:read_retrieved",
    StrategyName.FULL: "ragstack.strategies.full:read_full",
    StrategyName.SLIDING: "ragstack.strategies.sliding:read_windows",
    StrategyName.HIERARCHICAL: "ragstack.strategies.hierarchical:read_hierarchy",
}


def strategy_named(name: StrategyName | str) -> ContextStrategy:
    """The strategy of that name; raises UsageError if there is none."""
    try:
        module, _, function = _HOMES[StrategyName(name)].partition(":")
    except ValueError as error:
        known = ", ".join(f"`{each}`" for each in StrategyName)
        raise UsageError(f"there is no strategy `{name}`", hint=f"use one of {known}") from error
    strategy: ContextStrategy = getattr(import_module(module), function)
    return strategy
