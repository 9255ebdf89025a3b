"""A kill, and an error, at every named step of every change (`ragstack.store.failpoints`)."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from faults.actions import ACTIONS, Plan, World
from faults.campaign import Campaign
from faults.children import Say, ViolationError, require, start
from faults.kills import finish, new_world
from ragstack.store import failpoints

MOST_TIMES = 6
"""A step that an action reaches more often is failed at so many times, and at its last."""

DEEPER = ("ingest", "ingest", "reembed", "ingest")


class InjectedError(OSError):
    """The error that a step fails with."""


def run(campaign: Campaign) -> None:
    """For every action: learn its steps, then fail at each of them."""
    tried: set[str] = set()
    for action in ACTIONS:
        _run_action(campaign, action, tried)


def _choose(campaign: Campaign, steps: list[str], tried: set[str]) -> list[tuple[str, int]]:
    """Which step to fail at, at which of its times: the first ones and the last; in a hurry once a name."""
    last, chosen = Counter(steps), []
    for step in dict.fromkeys(steps):
        if campaign.quick:
            times = [] if step in tried else [last[step]]
        else:
            times = sorted({*range(1, min(last[step], MOST_TIMES) + 1), last[step]})
        tried.add(step)
        chosen += [(step, nth) for nth in times]
    return chosen


def _run_action(campaign: Campaign, action: str, tried: set[str]) -> None:
    """Every failure starts from a copy of the same store, with the same random choices."""
    world = new_world(campaign, campaign.random("steps", action))
    for name in DEEPER:
        finish(world, name)
    steps = _steps_of(campaign, world, action)
    for step, nth in _choose(campaign, steps, tried):
        _fail_at(campaign, world, action, step, nth, _kill)
        if not campaign.quick or campaign.random("steps", step).random() < 0.3:
            _fail_at(campaign, world, action, step, nth, _raise)
    for folder in (world.directory, template_of(world)):
        shutil.rmtree(folder)


def template_of(world: World) -> Path:
    """Where `copy_world` keeps the original."""
    return world.directory.with_name(f"{world.directory.name}-template")


def _steps_of(campaign: Campaign, world: World, action: str) -> list[str]:
    """The steps that the action goes through."""
    copy = copy_world(campaign, world, action)
    plan = copy.plan(action)

    def work(say: Say) -> None:
        failpoints.arm(lambda step: say(f"STEP {step}"))
        plan.work(say)

    ending = start(work).wait()
    ending.require_done()
    return ending.said("STEP")


def copy_world(campaign: Campaign, world: World, name: str) -> World:
    """The same store and folder in another place, about to make the same random choices.

    The store remembers the folder by its absolute path, so the copy is put where the original was.
    """
    template = template_of(world)
    if not template.exists():
        shutil.copytree(world.directory, template, symlinks=True)
    shutil.rmtree(world.directory)
    shutil.copytree(template, world.directory)
    return World(
        world.directory, world.folder, campaign.random("steps", name, "choices"), dict(world.files),
        dict(world.texts),
    )  # fmt: skip


def _kill(_step: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(step: str) -> None:
    raise InjectedError(f"injected at {step}")


def _fail_at(
    campaign: Campaign, world: World, action: str, step: str, nth: int, fail: Callable[[str], None]
) -> None:
    how = "kill" if fail is _kill else "error"
    with campaign.trial(f"{how} at a step of {action}", f"{step} #{nth}"):
        copy = copy_world(campaign, world, action)
        plan = copy.plan(action)
        ending = start(lambda say: _work_until(plan, step, nth, fail, say)).wait()
        require(not ending.timed_out, "hung")
        if how == "kill":
            require(ending.was_killed, f"was not killed: {ending.lines[-20:]}")
        else:
            ending.require_done()
        plan.inspect(plan.allowed(ending))


def _work_until(plan: Plan, step: str, nth: int, fail: Callable[[str], None], say: Say) -> None:
    """Do the work; fail at the nth time that a step is reached, and let an injected error come through."""
    left = nth

    def callback(reached: str) -> None:
        nonlocal left
        left -= reached == step
        if left == 0 and reached == step:
            fail(step)

    failpoints.arm(callback)
    try:
        plan.work(say)
    except InjectedError:
        return
    except BaseException as error:
        if not _came_from_injection(error):
            raise
        return
    raise ViolationError(f"the error injected at {step} was swallowed")


def _came_from_injection(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, InjectedError):
            return True
        error = error.__cause__ or error.__context__
    return False
