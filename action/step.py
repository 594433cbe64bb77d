"""One step: its clients, its beginning and its end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from typing import Mapping

from action import inputs as inputs_module
from action import launch, takedown
from action.aws import Aws, AwsError
from action.context import Step
from action.errors import Problem, Stopped
from action.github import GitHub, Refused
from action.stop_signal import Stop
from action.tasks import refused
from action.workflow import Workflow, temporary_directory

OLDEST_PYTHON = (3, 8)


def main() -> None:
    """Run the step, and exit with its exit code."""
    workflow = Workflow(os.environ)
    if sys.version_info < OLDEST_PYTHON:
        workflow.error("Python 3.8 or later is needed.", title="python3")
        code = 1
    else:
        code = asyncio.run(_run(workflow, dict(os.environ)))
    sys.stdout.flush()
    # Python would wait for threads, of which one may wait for an answer that is no longer needed.
    os._exit(code)


async def _run(workflow: Workflow, environ: Mapping[str, str]) -> int:
    stop = Stop()
    directory = tempfile.mkdtemp(prefix="gh-runner-", dir=temporary_directory(environ))
    try:
        await _do(workflow, environ, stop, directory)
    except Stopped:
        workflow.info("The step was cancelled.")
        return 128 + stop.signum
    except (Problem, Refused, AwsError) as error:
        problem = _problem(error)
        workflow.error(problem.text(), title=problem.title)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _problem(error: Problem | Refused | AwsError) -> Problem:
    if isinstance(error, Refused):
        return error.problem()
    return refused(error) if isinstance(error, AwsError) else error


async def _do(workflow: Workflow, environ: Mapping[str, str], stop: Stop, directory: str) -> None:
    texts = json.loads(environ.get("GH_RUNNER_INPUTS") or "{}")
    for name in inputs_module.spellings("token"):
        workflow.mask(str(texts.get(name) or "").strip())
    inputs = inputs_module.read({key: str(text or "") for key, text in texts.items()}, environ)
    debug = workflow.info if inputs.debug else _nothing
    step = Step(
        inputs=inputs,
        environ=environ,
        workflow=workflow,
        stop=stop,
        aws=Aws(environ, directory, inputs.region, debug),
        github=GitHub(inputs.api_url, inputs.scope, inputs.token, debug) if inputs.token else None,
    )
    if inputs.debug:
        await _describe_itself(step)
    await (launch.start(step) if inputs.mode == "start" else takedown.stop(step))


async def _describe_itself(step: Step) -> None:
    """Print what helps in finding a mistake; nothing of it is secret."""
    step.workflow.info(f"Python {sys.version.split()[0]}, {step.inputs.api_url}")
    for name, text in step.inputs.given.items():
        if text:
            step.workflow.info(f"input {name}: {text}")
    try:
        who = (await step.aws("sts get-caller-identity", {})).get("Arn")
    except (AwsError, Problem) as error:
        who = error  # the step may still have the rights that it needs
    step.workflow.info(f"AWS: {who}")


def _nothing(_text: str) -> None:
    """Print nothing."""
