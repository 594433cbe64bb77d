"""The whole log of a container: lines for people, or one JSON object a line."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from simulator import Simulator
from simulator.container import field
from tests.support import mutants
from tests.support.life import NAMESPACE, Life, until

STRANGE = """\
printf '\\xff\\xfe no UTF-8\\n'
echo '{"a": 1}'
head -c 1000000 /dev/zero | tr '\\0' x
echo
"""


def records(life: Life) -> list[dict[str, Any]]:
    """Return every line as a record; fail if one is not JSON."""
    return [json.loads(line) for line in life.output.splitlines()]


def test_every_line_is_one_object(life: Life, simulator: Simulator) -> None:
    """With RUNNER_LOG_FORMAT=json the lines of GitHub's runner are JSON objects, too."""
    simulator.queue_job("exit 0")
    assert life.start().wait() == 0
    told = records(life)
    assert {"timestamp", "severity_text", "event_name", "body"} <= set(told[0])
    [listening] = [r for r in told if "Listening for Jobs" in r["body"]]
    assert (listening["source"], listening["event_name"]) == ("runner", "runner.said")
    assert told[-1]["event_name"] == "life.ended"


def test_plain_lines_for_people(life: Life, simulator: Simulator) -> None:
    """By default nothing in the log is JSON, and an error's remedy has a line of its own."""
    del life.env["RUNNER_LOG_FORMAT"]
    simulator.queue_job("exit 0")
    assert life.start().wait() == 0
    assert not [line for line in life.output.splitlines() if line.startswith("{")]
    assert "exit code 0: the job succeeded" in life.output.splitlines()[-1]


def test_wrong_settings_for_people(life: Life) -> None:
    """Each problem has a line of its own, and the exit code comes last."""
    del life.env["RUNNER_LOG_FORMAT"]
    life.env |= {"RUNNER_EPHEMERAL": "maybe", "RUNNER_IDLE_TIMEOUT": "10m"}
    assert life.start().wait() == 78
    lines = life.output.splitlines()
    assert [line[:19] for line in lines if line.startswith("  - ")] == [
        "  - RUNNER_EPHEMERA",
        "  - RUNNER_IDLE_TIM",
    ]
    assert "exit code 78: the settings are wrong" in lines[-1]
    assert "hint" not in life.output


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 0", "succeeded"), ("exit 3", "failed")],
)
def test_last_lines_tell_what_became_of_the_job(
    life: Life, simulator: Simulator, script: str, said: str
) -> None:
    """The last lines have the job's result, on which the exit code does not depend."""
    simulator.queue_job(script, name="build")
    assert life.start().wait() == 0
    [done] = [r for r in records(life) if r["event_name"] == "job.completed"]
    assert (done["job"], done["result"]) == ("build", said)
    assert "reports" in done["body"]


def test_refusal_has_fields(life: Life) -> None:
    """A refusal's kind, method, status and request id are fields of the record."""
    assert life.start(GITHUB_PERSONAL_TOKEN="ghp_unknown0000").wait() == 77
    [failed] = [r for r in records(life) if r["event_name"] == "life.failed"]
    assert (failed["method"], failed["status"]) == ("POST", 401)
    assert failed["kind"]
    assert failed["request_id"]


@pytest.mark.parametrize(
    ("path", "awaited"),
    [("/registration-token$", "GitHub's answer"), ("/actions/runners/register$", "config.sh")],
)
def test_a_long_wait_is_told(life: Life, simulator: Simulator, path: str, awaited: str) -> None:
    """If the start takes long, the log says what is awaited, and for how many seconds."""
    life.program = mutants.mutated(life.directory, mutants.constant("call.SLOW", "0.2"))
    simulator.fault(path=path, hang=True, times=0)
    life.start()
    until(lambda: f"waiting for {awaited}, for at most" in life.output)
    [told] = [r for r in records(life) if r["event_name"] == "life.waiting"]
    assert told["limit"] >= 50


def test_debug_tells_requests_and_decisions(life: Life, simulator: Simulator) -> None:
    """With RUNNER_LOG_LEVEL=debug the log has each of our requests, and why things are done."""
    life.start(RUNNER_LOG_LEVEL="debug")
    simulator.wait_for("listening")
    assert life.signal().wait() == 143
    told = [(r["method"], r["path"]) for r in life.log if r["event_name"] == "github.request"]
    sent = [r for r in simulator.requests() if r["user_agent"].startswith("gh-runner")]
    assert sorted(told) == sorted((r["method"], r["path"]) for r in sent)
    decisions = "\n".join(r["body"] for r in life.log if r["event_name"] == "life.decision")
    for decision in ("executed itself again", "config.sh registers", "config.sh removes"):
        assert decision in decisions


def test_a_defect_in_a_child_is_a_record(life: Life) -> None:
    """A traceback, too, is one JSON object."""
    broken = mutants.body("prepare_child.load", "raise RuntimeError('broken')")
    life.program = mutants.mutated(life.directory, broken)
    assert life.start().wait() == 70
    [defect] = [r for r in records(life) if r["event_name"] == "life.defect"]
    assert "RuntimeError: broken" in defect["traceback"]


def chatty(life: Life, words: str) -> None:
    """Let the listener print something once it listens."""
    script = life.home / "run-helper.sh.template"
    script.write_text(f"#!/bin/bash\n{words}\nexit 0\n")
    script.chmod(0o755)
    (life.home / "run-helper.sh").unlink(missing_ok=True)


def test_a_burst_arrives_whole_and_in_order(life: Life) -> None:
    """A hundred thousand lines of the runner all arrive, in order."""
    chatty(life, "seq 100000")
    life.start().wait(120)
    said = [r["body"] for r in records(life) if r.get("source") == "runner"]
    numbers = [word for word in said if word.isdigit()]
    assert numbers == [str(n) for n in range(1, 100_001)]


def test_strange_lines(life: Life) -> None:
    """Bytes that are no UTF-8, JSON of the runner, or a line of a megabyte end no life."""
    chatty(life, STRANGE)
    life.start().wait(60)
    told = records(life)
    assert '{"a": 1}' in [r["body"] for r in told]
    assert sum(r["body"].count("x") for r in told if r.get("source") == "runner") >= 1_000_000
    assert [r["event_name"] for r in told].count("log.divided") == 1


FLOOD = 200_000  # lines; with their fields some 40 MB, ten times of what is kept
MEMORY = 64 << 20  # bytes; the child that renders the lines needs 20 MB, and keeps 4


def test_a_reader_that_stalls_costs_lines_and_no_memory(life: Life) -> None:
    """Nobody reads the log: the runner goes on writing, memory has a limit, lines are counted."""
    pipe = life.directory / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    written, read = life.directory / "written", life.directory / "read"
    chatty(life, f"seq {FLOOD}; touch {written}; until [ -e {read} ]; do sleep 0.1; done; echo end")
    life.directory.chmod(0o777)
    life.start(namespace=[*NAMESPACE, "sh", "-c", f'exec "$0" "$@" >{pipe} 2>&1'])
    until(written.exists)
    assert int(field(life.pid_of("gh-runner-log"), "VmHWM:").split()[0]) << 10 < MEMORY
    found: list[bytes] = []
    thread = threading.Thread(target=take_all, args=(pipe, found))
    thread.start()
    read.touch()
    assert life.wait() == 76
    os.close(reader)
    thread.join()
    told = [json.loads(line) for line in b"".join(found).splitlines()]
    said = [r["body"] for r in told if r.get("source") == "runner"]
    numbers = [int(word) for word in said if word.isdigit()]
    [*_, dropped] = [r["lines"] for r in told if r["event_name"] == "log.dropped"]
    assert numbers == sorted(set(numbers))
    assert len(numbers) + dropped == FLOOD
    assert "end" in said


def take_all(pipe: Path, found: list[bytes]) -> None:
    """Read a FIFO to its end."""
    with pipe.open("rb") as file:
        found.append(file.read())


LOST = {
    "a full disk": "mount -t tmpfs -o size=8k none {0} && exec >{0}/log && head -c 8192 /dev/zero",
    "a reader that has ended": "mkfifo {0}/pipe && exec 3<>{0}/pipe >{0}/pipe 3<&-",
}


@pytest.mark.parametrize("form", ["", "json"], ids=["console", "json"])
@pytest.mark.parametrize("script", LOST.values(), ids=LOST)
def test_a_log_that_takes_nothing(script: str, form: str, life: Life, simulator: Simulator) -> None:
    """The life goes on without its log: the job has its result, and the runner is off the list."""
    folder = life.directory / "log-folder"
    folder.mkdir()
    job = simulator.queue_job("exit 0")
    lost = f'{script.format(folder)}; exec "$0" "$@" 2>&1'
    life.start(namespace=[*NAMESPACE, "sh", "-c", lost], RUNNER_LOG_FORMAT=form)
    assert life.wait() == 0
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert simulator.runners() == []


def test_a_reader_that_stalls_holds_up_no_job(life: Life, simulator: Simulator) -> None:
    """If the log is not read, the job still runs, and lost lines are counted."""
    pipe = life.directory / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    job = simulator.queue_job("exit 0")
    life.start(namespace=[*NAMESPACE, "sh", "-c", f'exec "$0" "$@" >{pipe} 2>&1'])
    found: list[bytes] = []
    simulator.wait_for("job_completed")
    thread = threading.Thread(target=lambda: found.append(os.read(reader, 1 << 20)))
    thread.start()
    assert life.wait() == 0
    thread.join()
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert [json.loads(line) for line in b"".join(found).splitlines()]
    os.close(reader)
