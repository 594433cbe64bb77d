"""Undoing a launch: first the runner is taken off GitHub's list, then its task is stopped.

In this order no job can come to a runner that is about to end. GitHub does not remove a runner that
has a job: its task is left alone, and ends with the job.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Coroutine, Iterable

from action import tasks
from action.aws import Aws, AwsError
from action.context import Step
from action.errors import Problem
from action.github import GitHub, Refused
from action.runners import Runners, Slot

# seconds to wait for answers to requests that were sent
SETTLE_SECONDS, SETTLE_SECONDS_IF_CANCELLED = 30.0, 3.0
LOOKS_FOR_STRAYS = 3
CLEAN_UP_SECONDS = 90.0
_RETRY_PAUSE = 1.0
_REASON = "Its workflow does not need this runner any more"


@dataclass
class Report:
    """The results for the runners and tasks."""

    removed: int = 0
    stopped: int = 0
    busy: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def tell(self, step: Step) -> None:
        """Print the results."""
        step.workflow.info(
            f"Taken off GitHub's list: {self.removed}; tasks stopped: {self.stopped}."
        )
        if self.busy:
            step.workflow.warning(
                f"{', '.join(self.busy)}: a job runs there.", title="busy runners"
            )
        if self.left:
            step.workflow.warning(
                "\n".join(self.left)
                + "\nA runner that GitHub does not list any more, or that gets no job, ends its"
                " task by itself (input idle-timeout).",
                title="left behind",
            )


@dataclass
class Takedown:
    """Removes runners and stops tasks until a deadline, and reports the results."""

    aws: Aws
    github: GitHub | None
    cluster: str
    deadline: float
    report: Report = field(default_factory=Report)

    async def runner(self, runner_id: int, name: str) -> bool:
        """Take a runner off the list; False if it has a job."""
        assert self.github is not None  # noqa: S101 without a client there is no id
        try:
            free = await self.github.remove(runner_id, self.deadline)
        except Refused as refusal:
            self.report.left.append(f"runner {name} (id {runner_id}): {refusal}")
            return True
        if free:
            self.report.removed += 1
        else:
            self.report.busy.append(name)
        return free

    async def task(self, arn: str) -> None:
        """Stop a task."""
        try:
            while not await tasks.stop(self.aws, self.cluster, arn, _REASON):
                # ECS may not know a task yet that was just started.
                if time.monotonic() + _RETRY_PAUSE > self.deadline:
                    self.report.left.append(f"task {arn}: ECS does not know it")
                    return
                await asyncio.sleep(_RETRY_PAUSE)
        except (AwsError, Problem) as error:
            self.report.left.append(f"task {arn}: {error}")
        else:
            self.report.stopped += 1

    async def slot(self, slot: Slot) -> None:
        """Remove one runner of a launch, and stop its task."""
        if slot.runner_id and not await self.runner(slot.runner_id, slot.name):
            return
        if slot.arn:
            await self.task(slot.arn)

    async def all(self, work: Iterable[tuple[str, Coroutine[object, object, object]]]) -> None:
        """Do all of it side by side; what takes too long is reported under its name."""
        named = {asyncio.ensure_future(coroutine): name for name, coroutine in work}
        if not named:
            return
        left = max(0.0, self.deadline - time.monotonic())
        _, pending = await asyncio.wait(named, timeout=left)
        for task in pending:
            task.cancel()
            self.report.left.append(f"{named[task]}: there was no time left")
        await asyncio.gather(*named, return_exceptions=True)


async def take_back(
    step: Step, cluster: str, runners: Runners, under_way: set[asyncio.Future[None]]
) -> None:
    """Undo a launch that failed or was cancelled, as far as the time allows."""
    deadline = step.stop.clean_up_deadline(CLEAN_UP_SECONDS)
    takedown = Takedown(step.aws, step.github, cluster, deadline)
    await _settle(under_way, SETTLE_SECONDS_IF_CANCELLED if step.stop.signum else SETTLE_SECONDS)
    strays = await _unanswered(step, takedown, runners)
    work = [(_described(slot), takedown.slot(slot)) for slot in runners.slots if _is_there(slot)]
    work += [(f"task {arn}", takedown.task(arn)) for arn in strays]
    await takedown.all(work)
    runners.forget()
    takedown.report.tell(step)


def _is_there(slot: Slot) -> bool:
    return bool(slot.runner_id or slot.arn)


def _described(slot: Slot) -> str:
    return f"runner {slot.name} (id {slot.runner_id}), task {slot.arn or 'none'}"


async def _settle(under_way: set[asyncio.Future[None]], seconds: float) -> None:
    """Wait for answers to requests that were sent: ending this process would not undo them."""
    waiting = set(under_way)
    if not waiting:
        return
    _, pending = await asyncio.wait(waiting, timeout=seconds)
    for future in pending:
        future.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _unanswered(step: Step, takedown: Takedown, runners: Runners) -> list[str]:
    """Look for the results of requests that were never answered.

    Registrations are noted in their slots; tasks are returned.
    """
    nameless = {slot.name: slot for slot in runners.slots if slot.registering}
    try:
        if nameless:
            for runner in await step.hub.named(list(nameless), takedown.deadline):
                nameless[runner.name].runner_id = runner.id
        return await _strays(step.aws, takedown.cluster, runners)
    except (AwsError, Problem, Refused) as error:
        takedown.report.left.append(f"it could not be seen what else was started: {error}")
    return []


async def _strays(aws: Aws, cluster: str, runners: Runners) -> list[str]:
    """Return tasks whose start was never answered, as far as ECS knows them by now.

    A task that ECS starts later finds its runner's registration gone, and ends.
    """
    wanted = sum(slot.starting for slot in runners.slots)
    found: list[str] = []
    for look in range(LOOKS_FOR_STRAYS if wanted else 0):
        await asyncio.sleep(_RETRY_PAUSE if look else 0)
        found = await unknown_tasks(aws, cluster, runners)
        if len(found) >= wanted:
            break
    return found


async def unknown_tasks(aws: Aws, cluster: str, runners: Runners) -> list[str]:
    """Return the tasks of a launch that are in no slot."""
    known = {slot.arn for slot in runners.slots}
    return [arn for arn in await tasks.started_by(aws, cluster, runners.mark) if arn not in known]


async def stop(step: Step) -> None:
    """`mode: stop`: end the tasks and registrations of a launch, in whatever state they are."""
    inputs = step.inputs
    deadline = time.monotonic() + inputs.timeout
    takedown = Takedown(step.aws, step.github, inputs.cluster, deadline)
    await step.stop.interrupts(_stop(step, takedown), deadline)
    takedown.report.tell(step)
    if takedown.report.left:
        raise Problem("stop", "Not everything could be stopped: see the warning.")


async def _stop(step: Step, takedown: Takedown) -> None:
    inputs = step.inputs
    wanted = inputs.id or inputs.task_arns or inputs.runner_ids
    launches = {} if wanted else await _launches(step)
    arns = list(inputs.task_arns)
    if inputs.id and not arns:
        mark = step.run_mark + inputs.id.rpartition("-")[2]
        arns = await tasks.started_by(step.aws, inputs.cluster, mark)
    runners = await _registered(step, set(launches), takedown.deadline)
    if not runners and step.github is None:
        step.workflow.notice(
            "Without the input token runners stay on GitHub's list until they are dropped there.",
            title="token",
        )
    await takedown.all(
        [
            (f"runner {name} (id {key})", takedown.runner(key, name))
            for key, (name, _) in runners.items()
        ]
    )
    busy = {mark for name, mark in runners.values() if name in takedown.report.busy}
    # If the inputs name no launch, one with a running job is left alone.
    for mark, found in launches.items():
        arns += [] if mark in busy else found
    await takedown.all([(f"task {arn}", takedown.task(arn)) for arn in arns])


async def _launches(step: Step) -> dict[str, list[str]]:
    """Return by launch all tasks that this workflow run has started and that have not ended.

    A step's outputs, which would name them, are lost if its machine was.
    """
    inputs = step.inputs
    name = (inputs.task_definition or inputs.name).rpartition("/")[2].partition(":")[0]
    arns = await tasks.of_family(step.aws, inputs.cluster, name)
    found: dict[str, list[str]] = {}
    for task in (await tasks.describe(step.aws, inputs.cluster, arns)).values():
        if task.started_by.startswith(step.run_mark):
            found.setdefault(task.started_by[len(step.run_mark) :], []).append(task.arn)
    return found


async def _registered(step: Step, marks: set[str], deadline: float) -> dict[int, tuple[str, str]]:
    """Return the runners to remove by id, each with its name and its launch's mark."""
    inputs = step.inputs
    if step.github is None:
        return {}
    if inputs.runner_ids:
        return {key: (f"{inputs.id or 'runner'}, id {key}", "") for key in inputs.runner_ids}
    if not inputs.id and not marks:
        return {}
    found = {}
    for runner in await step.github.listed(deadline):
        if inputs.id and inputs.id in runner.labels:
            found[runner.id] = (runner.name, "")
        for mark in marks:
            if any(label.endswith("-" + mark) for label in runner.labels):
                found[runner.id] = (runner.name, mark)
    return found
