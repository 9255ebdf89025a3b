"""The one door to a language model: decides from its name what kind of generator it is. Asks nothing yet."""

from __future__ import annotations

from ragstack.answering.generators.addresses import endpoint_named
from ragstack.records import Generator


def open_generator(name: str) -> Generator:
    """The generator that `name` names: an address, `provider:model`, or a model on this disk.

    Raises UsageError for an address that cannot be one.
    """
    endpoint = endpoint_named(name)
    if endpoint is not None:
        from ragstack.answering.generators.endpoint import EndpointGenerator

        return EndpointGenerator(endpoint)
    from ragstack.answering.generators.local import LocalGenerator

    return LocalGenerator(name)
