"""`mode: start`: register runners, start a task for each, wait until GitHub lists them online."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.parse
from typing import Any, Coroutine, Mapping

from action import network, request, takedown, tasks
from action.aws import AwsError
from action.context import Step
from action.definition import Definition, describe
from action.errors import Problem
from action.github import PAGE, Runner
from action.request import JIT_VARIABLE
from action.runners import Runners, Slot, plan
from action.tasks import Passing, Task

MISSING_SECONDS = 60.0  # seconds; ECS may take so long to know a task that it has started
_SHORTEST, _LONGEST = 2.0, 30.0  # seconds between two tries to start a task
_FIRST_LOOK, _LAST_LOOK = 1.0, 5.0  # seconds between two looks


async def start(step: Step) -> None:
    """Start the runners; if that fails, leave nothing behind."""
    launch = Launch(step)
    work = launch.run()
    try:
        await step.stop.interrupts(work, launch.deadline)
    except BaseException as error:
        if launch.runners is not None:
            await launch.give_up()
        if isinstance(error, Problem) and error.title == "timeout":
            raise launch.too_late() from error
        raise


class Launch:
    """One launch, from reading the task definition until the last runner is online."""

    runners: Runners | None = None

    def __init__(self, step: Step) -> None:
        self._step = step
        self.deadline = time.monotonic() + step.inputs.timeout
        self._under_way: set[asyncio.Future[None]] = set()
        self._registering = asyncio.Lock()
        self._pages = 1

    async def run(self) -> None:
        """Do all of it; Problem, AwsError or Refused if something fails."""
        inputs, step = self._step.inputs, self._step
        parameters = request.read_file(inputs)
        self._cluster = request.cluster(inputs, parameters)
        name = request.task_definition(inputs, parameters)
        self._definition = await describe(step.aws, name, inputs.container, inputs.given["name"])
        self._jit = self._by_jit()
        self._goal = self._wait_for()
        subnets = await self._network(parameters)
        group = 1
        if self._jit:
            group = await step.hub.group_id(inputs.group, self.deadline)
        # From here on a failure has something to undo.
        runners = self.runners = plan(step)
        self._labels = _labels(step, self._definition, runners.id)
        self._request = request.make(inputs, self._definition, parameters, subnets, runners.mark)
        self._wanted = {
            "runner_group_id": group,
            "labels": self._labels,
            "work_folder": inputs.workdir,
        }
        self._put_out(runners)
        await self._adopt(runners)
        await self._launch_all(runners)
        self._put_out(runners)
        await self._wait(runners)
        self._put_out(runners)
        self._summarize(runners)

    async def give_up(self) -> None:
        """Undo everything."""
        assert self.runners is not None  # noqa: S101 otherwise there is nothing to undo
        await takedown.take_back(self._step, self._cluster, self.runners, self._under_way)

    def too_late(self) -> Problem:
        """Return the error for the time-out, with what is missing."""
        slots = self.runners.slots if self.runners else []
        obstacles = list(dict.fromkeys(slot.obstacle for slot in slots if slot.obstacle))
        online = sum(slot.online for slot in slots)
        running = sum(slot.running for slot in slots)
        seen = (
            f"After {self._step.inputs.timeout} s {running} of {len(slots)} tasks were running and"
            f" {online} runners were seen online."
        )
        return Problem(
            "timeout",
            "\n".join([seen, *obstacles[:3]]),
            "Give it more time (input timeout), look at the task's log, and whether its subnets"
            " reach GitHub.",
        )

    def _by_jit(self) -> bool:
        """Return whether the runner gets a JIT configuration: always, if the inputs allow it."""
        inputs, own = self._step.inputs, self._definition.credentials
        if inputs.credential == "task" or (not inputs.token and own):
            if inputs.token and not own:
                self._no_credential()
            return False
        if not inputs.token:
            raise Problem(
                "token",
                "Neither is there a token, nor does the task definition bring a credential.",
                "Give the token of a GitHub App (actions/create-github-app-token) or a personal"
                " one; the runner itself does not get it.",
            )
        if own and inputs.credential == "jit":
            raise Problem(
                "credential",
                f"The task definition brings a credential of its own: {', '.join(own)}.",
                "Say credential: task, or take that out of the task definition.",
            )
        return not own

    def _no_credential(self) -> None:
        self._step.workflow.warning(
            "The task definition names no credential; the image must find one by itself.",
            title="credential",
        )

    def _wait_for(self) -> str:
        return self._step.inputs.wait or ("online" if self._step.inputs.token else "task")

    async def _network(self, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        inputs = self._step.inputs
        if not self._definition.in_vpc:
            return None
        by_inputs = inputs.subnets or inputs.subnets_tag
        if parameters.get("networkConfiguration") and not by_inputs:
            return None
        return await network.configuration(self._step.aws, inputs)

    async def _adopt(self, runners: Runners) -> None:
        """Take over what an earlier run of the same step has started before it was killed."""
        if not runners.adopted:
            return
        self._step.workflow.info(f"This step has begun before: {runners.id}.")
        for arn in await takedown.unknown_tasks(self._step.aws, self._cluster, runners):
            await tasks.stop(self._step.aws, self._cluster, arn, "Nobody knows its runner")
        for slot in runners.slots:
            if slot.arn:
                slot.started = time.monotonic()
                continue
            # Its JIT configuration is lost, and its clientToken may be used up.
            slot.attempt += 1
            if slot.runner_id:
                await self._step.hub.remove(slot.runner_id, self.deadline)
                slot.runner_id = 0

    async def _launch_all(self, runners: Runners) -> None:
        waiting = [asyncio.ensure_future(self._launch(slot)) for slot in runners.slots]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        for task in done:
            task.result()

    async def _launch(self, slot: Slot) -> None:
        if slot.arn:
            return
        if self._jit and not slot.jit:
            # GitHub asks clients to send requests that change something one at a time.
            async with self._registering:
                await self._whole(self._register(slot))
        await self._start_task(slot)

    async def _whole(self, change: Coroutine[Any, Any, None]) -> None:
        """Make a change and wait for its answer even if this step is cancelled meanwhile."""
        future = asyncio.ensure_future(change)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        await asyncio.shield(future)

    async def _register(self, slot: Slot) -> None:
        slot.registering = True
        wanted = {"name": slot.name, **self._wanted}
        runner, slot.jit = await self._step.hub.generate(wanted, self.deadline)
        slot.runner_id, slot.registering = runner.id, False
        self._step.workflow.hide(slot.jit)
        self._save()

    async def _start_task(self, slot: Slot) -> None:
        """Start the task; repeat that until ECS has capacity for it."""
        pause = _SHORTEST
        while True:
            try:
                return await self._whole(self._ask_for_task(slot))
            except Passing as reason:
                # ECS has answered, so the next try needs a new clientToken; without an answer it
                # keeps it.
                slot.attempt += 1
                self._postpone(slot, f"ECS has no room: {reason}")
            except AwsError as error:
                if not error.passes:
                    raise
                self._postpone(slot, str(error))
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 no secret
            pause = min(_LONGEST, 2 * pause)

    def _postpone(self, slot: Slot, obstacle: str) -> None:
        if obstacle != slot.obstacle:
            slot.obstacle = obstacle
            self._step.workflow.info(f"{slot.name} has to wait. {obstacle}")

    async def _ask_for_task(self, slot: Slot) -> None:
        body = self._request.of(self._client_token(slot), self._own(slot))
        slot.starting = True
        self._save()
        try:
            task = await tasks.run(self._step.aws, body)
        except AwsError as error:
            slot.starting = error.passes
            raise
        except (Passing, Problem):
            slot.starting = False
            raise
        slot.arn, slot.task, slot.starting = task.arn, task, False
        slot.started, slot.obstacle = time.monotonic(), ""
        self._save()
        self._step.workflow.info(f"{slot.name}: task {task.id}")

    def _client_token(self, slot: Slot) -> str:
        assert self.runners is not None  # noqa: S101 made before
        number = self.runners.slots.index(slot)
        return f"{self.runners.mark.replace('/', '-')}-{number}-{slot.attempt}"

    def _own(self, slot: Slot) -> dict[str, str]:
        """Return the variables of one runner."""
        inputs = self._step.inputs
        if self._jit:
            return {JIT_VARIABLE: slot.jit}
        found = {
            "RUNNER_NAME": slot.name,
            "RUNNER_LABELS": ",".join(self._labels),
            "RUNNER_WORKDIR": inputs.workdir,
        }
        if inputs.group:
            found["RUNNER_GROUP"] = inputs.group
        if inputs.given["context"] or not self._definition.has_scope:
            found.update(_scope(inputs.context))
        return found

    def _save(self) -> None:
        if self.runners is not None:
            self.runners.save()

    async def _wait(self, runners: Runners) -> None:
        if self._goal == "none":
            return
        pause = _FIRST_LOOK
        while True:
            await self._look_at_tasks(runners)
            requests = 0
            if self._goal == "online":
                requests = await self._look_at_github(runners)
            if all(self._is_ready(slot) for slot in runners.slots):
                return
            # For many runners a look takes many requests: at most two a second.
            await asyncio.sleep(max(pause, requests / 2))
            pause = min(_LAST_LOOK, pause + 1.0)

    def _is_ready(self, slot: Slot) -> bool:
        return slot.online if self._goal == "online" else slot.running

    async def _look_at_tasks(self, runners: Runners) -> None:
        arns = [slot.arn for slot in runners.slots]
        try:
            found = await tasks.describe(self._step.aws, self._cluster, arns)
        except AwsError as error:
            if not error.passes:
                raise
            return
        ended = []
        for slot in runners.slots:
            task = found.get(slot.arn)
            if task is None:
                _may_be_missing(slot)
                continue
            slot.task = task
            slot.running = slot.running or task.status == "RUNNING"
            if task.has_ended:
                ended.append((slot, task))
        for slot, task in ended:
            await self._look_at_end(slot, task)

    async def _look_at_end(self, slot: Slot, task: Task) -> None:
        """Raise the error about a task that ended before the launch was complete."""
        container = self._definition.container
        if task.never_ran_for_lack_of_room(container):
            self._postpone(slot, f"ECS has no room: {task.body.get('stoppedReason')}")
            slot.arn, slot.task, slot.running = "", None, False
            slot.attempt += 1
            await self._start_task(slot)
            return
        if self._is_ready(slot) and task.exit_code(container) == 0:
            return
        log = await tasks.tail(self._step.aws, self._definition, task)
        story = tasks.story(self._definition, task)
        self._step.workflow.info(f"{slot.name}: {story}\n{log}".rstrip())
        raise Problem(
            f"runner {slot.name}",
            f"It has ended before it could be handed on. {story}\n{log}".rstrip(),
            _remedy(task.exit_code(container)),
        )

    async def _look_at_github(self, runners: Runners) -> int:
        """Note which runners are online; return how many requests that took."""
        slots = [slot for slot in runners.slots if not slot.online]
        if not slots:
            return 0
        if self._jit and len(slots) <= self._pages:
            for slot in slots:
                runner = await self._step.hub.get(slot.runner_id, self.deadline)
                slot.online = runner is not None and runner.online
            return len(slots)
        listed = await self._step.hub.listed(self.deadline)
        self._pages = 1 + len(listed) // PAGE
        if self._jit:
            online = {runner.id for runner in listed if runner.online}
            for slot in slots:
                slot.online = slot.runner_id in online
        else:
            _assign(runners, listed)
        return self._pages

    def _put_out(self, runners: Runners) -> None:
        self._step.workflow.output(_outputs(runners, self._labels, self._definition))

    def _summarize(self, runners: Runners) -> None:
        states = {"online": "online", "task": "running", "none": "started"}
        self._step.workflow.info(
            f"{runners.id}: {len(runners.slots)} {states[self._goal]};"
            f" runs-on: {json.dumps(self._labels)}"
        )


def _may_be_missing(slot: Slot) -> None:
    if time.monotonic() - slot.started > MISSING_SECONDS:
        raise Problem(
            f"runner {slot.name}",
            f"ECS does not know its task {slot.arn} any more.",
            "Look at the cluster's events.",
        )


def _remedy(code: int | None) -> str:
    if code == 0:
        return "Give labels that no other job asks for, or a longer idle-timeout."
    if code is None:
        return "docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html"
    return "docs/ecs.md and docs/troubleshooting.md of gh-runner say more."


def _assign(runners: Runners, listed: list[Runner]) -> None:
    """Mark as many runners as are online: without ids the label does not tell which."""
    online = sum(runner.online and runners.id in runner.labels for runner in listed)
    for slot in runners.slots[:online]:
        slot.online = True


def _labels(step: Step, definition: Definition, launch_id: str) -> list[str]:
    """Return all labels, each once in its first spelling: GitHub ignores the case."""
    inputs = step.inputs
    default = ("self-hosted", "Linux", definition.architecture, "ephemeral", inputs.name)
    found: dict[str, str] = {}
    for label in (*default, *inputs.labels, launch_id):
        found.setdefault(label.lower(), label)
    return list(found.values())


def _scope(context: str) -> dict[str, str]:
    kind, _, name = context.partition("/")
    if kind == "enterprises":
        return {"GITHUB_ENTERPRISE": name}
    return {"GITHUB_OWNER": kind, "GITHUB_REPOSITORY": name}


def _outputs(runners: Runners, labels: list[str], definition: Definition) -> dict[str, Any]:
    """Return the outputs; `action.yml` adds their other names."""
    slots = runners.slots
    first = slots[0]
    return {
        "id": runners.id,
        "runs-on": json.dumps(labels),
        "runner-names": json.dumps([slot.name for slot in slots]),
        "runner-ids": json.dumps([slot.runner_id for slot in slots if slot.runner_id]),
        "task-arn": first.arn,
        "task-id": first.task_id,
        "task-arns": json.dumps([slot.arn for slot in slots if slot.arn]),
        "ipaddr": first.task.address if first.task else "",
        "log-url": _log_url(definition, first),
    }


def _log_url(definition: Definition, slot: Slot) -> str:
    """Return the address of the first task's log in AWS's console."""
    if definition.log is None or slot.task is None:
        return ""
    region = definition.log.region or slot.arn.split(":")[3]
    # The console wants the part behind # encoded twice, with $ instead of %.
    group, stream = (
        urllib.parse.quote(urllib.parse.quote(text, safe=""), safe="").replace("%", "$")
        for text in (definition.log.group, tasks.stream(definition, slot.task))
    )
    host = f"{region}.console.aws.amazon.com"
    path = f"logsV2:log-groups/log-group/{group}/log-events/{stream}"
    return f"https://{host}/cloudwatch/home?region={region}#{path}"
