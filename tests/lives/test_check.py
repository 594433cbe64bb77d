"""`gh-runner check` reports what `run` would meet, and registers nothing."""

import json
import os
import pty
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lives.test_surroundings import NO_MEMFD
from tests.support import pki, wire
from tests.support.life import NAMESPACE, TOKEN, USER, Life

ALL = ["settings", "runner", "disk", "state", "name", "connection", "clock"]
ALL += ["credential", "permissions", "group", "labels"]


def checked(life: Life, *argv: str, **settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run it, and return its exit code and its findings by name."""
    life.start("check", "--json", *argv, **settings)
    code = life.wait()
    told = json.loads(life.output)
    assert told["exit_code"] == code
    assert life.simulator.runners() == []
    return code, {found["check"]: found for found in told["findings"]}


def test_all_is_well(life: Life) -> None:
    """If `run` would work, every finding is fine and the exit code is 0."""
    code, found = checked(life)
    assert code == 0
    assert [*found] == ALL
    assert {one["verdict"] for one in found.values()} <= {"fine", "warning"}
    assert "repository acme/shop on github.com" in found["permissions"]["said"]


def test_table(life: Life) -> None:
    """A person gets a line for each check, with a mark and a remedy."""
    life.simulator.fault(path="/registration-token$", refusal="not-accessible")
    life.start("check")
    assert life.wait() == 77
    assert "✓ settings    repository acme/shop on github.com" in life.output
    assert "✗ permissions POST /repos/acme/shop/actions/runners/registration-token" in life.output
    assert "→ give the personal access token" in life.output.replace("classic ", "")


@pytest.mark.parametrize(
    ("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours(life: Life, environ: dict[str, str], coloured: bool) -> None:
    """On a terminal the marks have colours, unless the operator or the terminal wants none."""
    ours, theirs = pty.openpty()
    try:
        command = [*life.program, "check"]
        subprocess.run(command, env={"GITHUB_OWNER": "/", **environ}, stdout=theirs, check=False)
        assert (b"\x1b[31m" in os.read(ours, 4096)) is coloured
    finally:
        os.close(ours)
        os.close(theirs)


def test_settings_are_wrong(life: Life) -> None:
    """Wrong settings are reported as by `run`, and GitHub gets no request."""
    code, found = checked(life, GITHUB_OWNER="a/b", RUNNER_EPHEMERAL="x")
    assert code == 78
    assert [*found] == ["settings"]
    assert "GITHUB_OWNER: " in found["settings"]["said"]
    assert "RUNNER_EPHEMERAL: " in found["settings"]["said"]
    assert life.simulator.requests() == []


def test_runner_is_missing(life: Life) -> None:
    """A directory without GitHub's runner is reported, and the other checks go on."""
    code, found = checked(life, RUNNER_HOME="/usr")
    assert code == 78
    assert "/usr holds no config.sh" in found["runner"]["said"]
    assert found["permissions"]["verdict"] == "fine"


@pytest.mark.parametrize(
    ("fault", "check", "code"),
    [
        ({"path": "/actions/runners", "refusal": "bad-credentials"}, "credential", 77),
        ({"path": "/registration-token$", "refusal": "not-admin"}, "permissions", 77),
        ({"path": "/registration-token$", "refusal": "rate-limit"}, "permissions", 75),
        ({"path": "/meta$", "status": 200, "body": "<html>"}, "connection", 78),
        ({"path": "/meta$", "reset": True, "times": 0}, "connection", 75),
    ],
)
def test_refusals(fault: dict[str, Any], check: str, code: int, life: Life) -> None:
    """The refused check has the exit code of `run`, and no further request is sent."""
    life.simulator.fault(**fault)
    result, found = checked(life)
    assert result == code
    assert found[check]["verdict"] == "wrong"
    assert found[check]["remedy"]
    assert [*found][-1] == check


def test_name_resolution(life: Life) -> None:
    """A host without an address is reported as such."""
    code, found = checked(life, GITHUB_API_URL="https://no.invalid")
    assert code == 75
    assert "check the container's DNS" in found["name"]["remedy"]


def test_unknown_group(life: Life) -> None:
    """An unknown runner group is reported, with the existing groups."""
    life.simulator.add_group("builders")
    code, found = checked(life, GITHUB_REPOSITORY="", RUNNER_GROUP="builder")
    assert code == 78
    assert "'builders'" in found["group"]["remedy"]
    _, found = checked(life, GITHUB_REPOSITORY="", RUNNER_GROUP="builders")
    assert found["group"]["verdict"] == "fine"


def test_version(life: Life) -> None:
    """A runner version that GitHub no longer accepts has the exit code of `run`."""
    life.simulator.deprecate("2.336.0", registration_at="2020-01-01T00:00:00Z")
    code, found = checked(life, RUNNER_VERSION="2.336.0")
    assert code == 7
    assert "rebuild the image" in found["version"]["remedy"]


def test_age_of_the_version(life: Life) -> None:
    """The age of the runner shows whether GitHub may soon give it no jobs."""
    today = datetime.now(UTC).date()
    for age, verdict in ((5, "fine"), (40, "warning")):
        released = str(today - timedelta(days=age))
        _, found = checked(life, RUNNER_VERSION="2.336.0", RUNNER_RELEASED=released)
        assert found["version"]["verdict"] == verdict
        assert f"2.336.0 of {released}" in found["version"]["said"]


def test_clock(life: Life) -> None:
    """A wrong clock is reported, although only an App suffers from it."""
    hour_ago = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 3600))
    answer = f"HTTP/1.1 200 OK\nDate: {hour_ago}\nContent-Length: 2\nConnection: close\n\n{{}}"
    with wire.server(wire.says(answer)) as port:
        _, found = checked(life, GITHUB_API_URL=f"http://127.0.0.1:{port}")
    assert found["clock"]["verdict"] == "warning"
    assert "36" in found["clock"]["said"]


def test_expiry(life: Life) -> None:
    """A token that expires within days is reported."""
    soon = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() + 3 * 86400))
    life.simulator.fault(
        path="/actions/runners",
        status=200,
        body={"total_count": 0, "runners": []},
        headers={"github-authentication-token-expiration": soon},
    )
    code, found = checked(life)
    assert code == 0
    assert found["credential"]["verdict"] == "warning"
    assert soon[:10] in found["credential"]["said"]


def bad_places(life: Life) -> dict[str, tuple[str, int, dict[str, str], str]]:
    """Return cases by name: the check that reports, the exit code, settings, and shell commands."""
    home, state = life.home, "/proc/none"
    authority = pki.authority(life.directory).path
    readable = life.directory / "token"
    readable.write_text(TOKEN)
    return {
        "state": ("state", 0, {"RUNNER_STATE_DIR": state}, ""),
        "state until-job": (
            *("state", 78),
            {"RUNNER_STATE_DIR": state, "RUNNER_CREDENTIAL": "until-job"},
            "",
        ),
        "state with authority": (
            *("state", 78),
            {"RUNNER_STATE_DIR": state, "RUNNER_CA_FILE": str(authority)},
            "",
        ),
        "disk": ("disk", 75, {"RUNNER_MIN_FREE_DISK": "900T"}, ""),
        "noexec": (
            "runner",
            78,
            {},
            f"mount --bind {home} {home}; mount -o remount,bind,noexec {home}",
        ),
        "no core": ("", 0, {}, "ulimit -c 0"),
        "old record": (
            "runner",
            78,
            {},
            f"touch {home}/.runner; mount --bind /dev/null {home}/.runner",
        ),
        "hook": (
            *("runner", 78),
            {"RUNNER_CREDENTIAL": "until-job"},
            f"echo ACTIONS_RUNNER_HOOK_JOB_STARTED=/x >{home}/.env",
        ),
        "secret": (
            *("runner", 78),
            {"GITHUB_PERSONAL_TOKEN": "", "GITHUB_PERSONAL_TOKEN_FILE": str(readable)},
            f"ln -f {readable} {readable}.copy",
        ),
        "had a job": (
            "runner",
            0,
            {},
            f"mkdir -p {home}/_diag; touch {home}/_diag/Worker_1.log; chown -R {USER} {home}/_diag",
        ),
        "another runner": ("runner", 78, {}, f"exec 9<{home}; flock -x 9"),
        "no memory files": ("runner", 78, {}, "NO_MEMFD"),
        "no engine": (
            *("engine", 69),
            {"RUNNER_ENGINE": "podman"},
            "mount --bind /dev/null $(command -v podman || echo /none) 2>/dev/null",
        ),
        "engine elsewhere": (
            *("engine", 69),
            {
                "RUNNER_ENGINE": "auto",
                "DOCKER_HOST": "tcp://127.0.0.1:1",
                "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS": "1",
            },
            "",
        ),
        "engine options": ("settings", 78, {"RUNNER_ENGINE_OPTIONS": "--label 'a"}, ""),
        "figures": ("metrics", 0, {"RUNNER_METRICS_FILE": "/proc/none/figures"}, ""),
    }


BAD_PLACES = (
    *("state", "state until-job", "state with authority", "disk", "noexec", "no core"),
    *("old record", "hook", "secret", "had a job", "another runner", "no memory files"),
    *("no engine", "engine elsewhere", "engine options", "figures"),
)


@pytest.mark.parametrize("case", BAD_PLACES)
def test_what_run_would_meet_here(life: Life, case: str) -> None:
    """`check` reports what `run` ends with: the same code, and the same words."""
    check, code, settings, script = bad_places(life)[case]
    settings = {**settings, "RUNNER_IDLE_TIMEOUT": "0.1"}
    namespace = ["unshare", "--mount", *NAMESPACE, "sh", "-c", f'{script or ":"}; exec "$@"', "sh"]
    if script == "NO_MEMFD":
        program = life.directory / "no_memfd.py"
        program.write_text(NO_MEMFD)
        namespace = [*NAMESPACE, "/usr/bin/python3", str(program)]
    life.start("check", "--json", namespace=namespace, **settings)
    told = (life.wait(), json.loads(life.output))
    assert (told[0], told[1]["exit_code"]) == (code, code), life.output
    bad = [one for one in told[1]["findings"] if one["verdict"] != "fine"]
    assert life.start(namespace=namespace, **settings).wait() == code, life.output
    if check:
        assert check in {one["check"] for one in bad}
        words = " ".join(f"{line['event']} {line.get('problems')}" for line in life.log)
        assert any(without_size(one["said"]) in without_size(words) for one in bad), life.output


def without_size(words: str) -> str:
    """Return words without the free space, which changes from one moment to the next."""
    return re.sub(r"[0-9]+ MiB free", "", words)


def test_registration_token(life: Life) -> None:
    """With RUNNER_TOKEN `check` needs no other token, and lists what this one cannot do."""
    life.simulator.fault(
        path="/actions/runners", status=200, body={"total_count": 0, "runners": []}
    )
    code, found = checked(life, GITHUB_PERSONAL_TOKEN="", RUNNER_TOKEN="A" * 29)
    assert code == 0
    assert "permissions" not in found
    assert "one hour" in life.output


def test_no_secret_is_printed(life: Life) -> None:
    """Neither the table nor the JSON holds the credential."""
    secret = life.env["GITHUB_PERSONAL_TOKEN"]
    life.simulator.fault(path="/meta$", status=403, body={"message": f"no {secret}"})
    life.simulator.fault(path="/actions/runners", status=403, body={"message": f"no {secret}"})
    checked(life)
    assert secret not in life.output
