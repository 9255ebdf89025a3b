"""A kill, and an I/O error, at every Nth system call by which a small workload changes anything."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from pathlib import Path

from faults import tracing
from faults.actions import World
from faults.campaign import Campaign
from faults.children import Ending, ViolationError, require
from faults.kills import finish, new_world
from faults.steps import copy_world, template_of

ACTIONS = ("ingest", "delete", "compact", "reembed", "migrate", "repair", "publish", "purge")

FAILING = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate")
"""Calls that a failing disk fails."""

MESSAGE = re.compile(r"(ragstack\.errors\.\w+|OSError|FileNotFoundError): .*")


def run(campaign: Campaign) -> None:
    """Learn the calls of each action, then fail each of them (a sample of them in a hurry)."""
    reason = tracing.why_not()
    if reason:
        campaign.skip("kill at a system call", reason)
        campaign.skip("error of a system call", reason)
        return
    for action in ACTIONS[:1] if campaign.quick else ACTIONS:
        _run_action(campaign, action)


def _run_action(campaign: Campaign, action: str) -> None:
    world = new_world(campaign, campaign.random("syscalls", action))
    for name in ("ingest", "ingest"):
        finish(world, name)
    calls = _calls_of(campaign, world, action)
    every = [(call, nth) for call, count in calls.items() for nth in range(1, count + 1)]
    rng = campaign.random("syscalls", action, "order")
    for call, nth in _some(every, rng, campaign.amount(quick=5, full=len(every))):
        _fail_at(campaign, world, action, call, nth, "kill")
    failing = [(call, nth) for call, nth in every if call in FAILING]
    for call, nth in _some(failing, rng, campaign.amount(quick=3, full=60)):
        _fail_at(campaign, world, action, call, nth, rng.choice(["EIO", "ENOSPC"]))
    for folder in (world.directory, template_of(world)):
        shutil.rmtree(folder)


def _some(calls: list[tuple[str, int]], rng: random.Random, count: int) -> list[tuple[str, int]]:
    return calls if count >= len(calls) else rng.sample(calls, count)


def _calls_of(campaign: Campaign, world: World, action: str) -> Counter[str]:
    copy = copy_world(campaign, world, action)
    plan = copy.plan(action)
    log = world.directory.parent / "calls.log"
    with tracing.traced(plan.work, log, "-e", f"trace={','.join(tracing.WRITING)}") as child:
        child.wait().require_done()
    names = (re.match(r"(?:\d+ +)?(\w+)\(", line) for line in log.read_text().splitlines())
    return Counter(found[1] for found in names if found)


def _fail_at(campaign: Campaign, world: World, action: str, call: str, nth: int, how: str) -> None:
    fault = "kill at a system call" if how == "kill" else "error of a system call"
    with campaign.trial(fault, f"{action}: {how} at {call} #{nth}"):
        copy = copy_world(campaign, world, action)
        plan = copy.plan(action)
        effect = "signal=SIGKILL" if how == "kill" else f"error={how}"
        log = world.directory.parent / "inject.log"
        with tracing.traced(
            plan.work, log, "-e", f"trace={call}", "-e", f"inject={call}:{effect}:when={nth}"
        ) as child:
            ending = child.wait()
        require(not ending.timed_out, "hung")
        if how != "kill":
            _check_message(ending, log)
        plan.inspect(plan.allowed(ending))


def _check_message(ending: Ending, log: Path) -> None:
    """An error that comes through is one of ours or the system's own, not SQLAlchemy's."""
    if ending.code == 0 or ending.was_killed:
        return
    last = next((line for line in reversed(ending.lines) if line and not line.startswith(" ")), "")
    if not MESSAGE.match(last) and "INJECTED" in log.read_text():
        raise ViolationError(f"unclear error: {last}")
