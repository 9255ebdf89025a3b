"""Random SIGKILLs over everything that changes a store."""

from __future__ import annotations

import shutil
import statistics
import time
from random import Random

from faults import actions
from faults.actions import World
from faults.campaign import Campaign
from faults.children import start

WEIGHTS = {
    "ingest": 8, "add": 2, "delete": 2, "publish": 1, "compact": 1, "reembed": 3, "repair": 2, "purge": 1,
    "backup": 1, "restore": 1, "create": 1, "migrate": 2,
}  # fmt: skip

GUESS = 0.3
"""Seconds that an action is thought to take before one was seen to end."""

CHAIN = 25
"""Kills that one store goes through."""


def run(campaign: Campaign) -> None:
    """Chains of actions on one store, nearly every one of them killed at a random moment."""
    wanted, killed, chain = campaign.amount(quick=40, full=1_000), 0, 0
    usual: dict[str, list[float]] = {}
    while killed < wanted:
        chain += 1
        killed += _run_chain(campaign, chain, min(CHAIN, wanted - killed), usual)


def new_world(campaign: Campaign, rng: Random) -> World:
    """A store with a few documents."""
    directory = campaign.folder("world")
    world = World(directory, directory / "folder", rng)
    for _ in range(2):
        finish(world, "ingest")
    return world


def finish(world: World, action: str) -> None:
    """Run an action to its end."""
    plan = world.plan(action)
    ending = start(plan.work).wait()
    ending.require_done()
    world.texts = plan.inspect(plan.allowed(ending))


def _run_chain(campaign: Campaign, chain: int, wanted: int, usual: dict[str, list[float]]) -> int:
    rng = campaign.random("kills", chain)
    world, killed, step = None, 0, 0
    while killed < wanted:
        step += 1
        action = rng.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        world = world or new_world(campaign, rng)
        failures = campaign.failed
        killed += _kill(campaign, world, action, f"chain {chain} step {step}", rng, usual)
        if campaign.failed > failures:
            world = None  # its files stay for whoever looks into it
    if world is not None:
        shutil.rmtree(world.directory)
    return killed


def _kill(
    campaign: Campaign, world: World, action: str, name: str, rng: Random, usual: dict[str, list[float]]
) -> bool:
    """One action, killed somewhere in it; whether the kill came before its end."""
    seconds = usual.setdefault(action, [])
    moment = rng.random()
    plan = world.plan(action)
    began = time.monotonic()
    child = start(plan.work)
    for _ in child.listen(moment * 1.05 * (statistics.median(seconds[-9:]) if seconds else GUESS)):
        pass
    child.kill()
    ending = child.wait()
    if not ending.was_killed:
        seconds.append(time.monotonic() - began)
        if ending.code:
            with campaign.trial(f"kill during {action}", name):
                ending.require_done()
            return True
        world.texts = plan.inspect(plan.allowed(ending))
        return False
    with campaign.trial(f"kill during {action}", f"{name} in {world.directory}"):
        world.texts = plan.inspect(plan.allowed(ending))
    return True


assert set(WEIGHTS) == set(actions.ACTIONS)
