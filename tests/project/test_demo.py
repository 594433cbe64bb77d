"""`make demo` ends by itself, and with 0 only if every promise was kept."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.envfile import SAMPLE, fill
from entrypoint.errors import Failure
from entrypoint.settings.schema import variables
from entrypoint.vault import SECRETS
from tests.support import unprivileged
from tests.support.settings import parse

pytestmark = pytest.mark.timeout(200)
DEMO = [sys.executable, "-m", "demo"]
PROJECT = SAMPLE.parent


class Shown(NamedTuple):
    """What a demo printed, and its exit code."""

    text: str
    code: int


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """All demos at once: each takes up to ten seconds, and waits for most of them."""
    bin_without = tmp_path_factory.mktemp("bin")
    demos = {
        "job": demo(),
        "job stopped": demo(STOP="TERM"),
        "idle stopped": demo(STOP="INT", WHEN="idle"),
        "no namespace": demo(PATH=f"{useless(bin_without, 'unshare')}:{os.environ['PATH']}"),
        "ordinary user": demo(*unprivileged.prefix()),
        "broken": demo(PATH=f"{useless(bin_without / 'b', 'setpriv')}:{os.environ['PATH']}"),
    }
    yield demos
    for process in demos.values():
        process.kill()
        process.communicate()


def demo(*prefix: str, **env: str) -> "subprocess.Popen[str]":
    """A demo that has just been started, with make's variables in its environment."""
    return subprocess.Popen(
        [*prefix, *DEMO],
        env={**os.environ, **env},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def useless(directory: Path, program: str) -> Path:
    """Return a directory with a program of that name that always fails."""
    directory.mkdir(exist_ok=True)
    path = directory / program
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return directory


@pytest.fixture
def shown(request: pytest.FixtureRequest, demos: dict[str, "subprocess.Popen[str]"]) -> Shown:
    """The demo that a test names, once it has ended."""
    process = demos[request.param]
    text, _ = process.communicate(timeout=150)
    return Shown(text, process.returncode)


def of(name: str) -> pytest.MarkDecorator:
    """Name the demo that a test is about."""
    return pytest.mark.parametrize("shown", [name], indirect=True)


def timeline(shown: Shown) -> list[str]:
    """Return the names of those that spoke, in order and without repetitions."""
    lines = re.findall(r"^ +\d+\.\d{3} s  (\w+(?: 1)?) +", shown.text, re.MULTILINE)
    return [who for at, who in enumerate(lines) if at == 0 or lines[at - 1] != who]


@of("job")
def test_shows_one_job(shown: Shown) -> None:
    """The demo shows a job, its output, GitHub's list over time, the phases and the exit code."""
    assert shown.code == 0, shown.text
    for line in (
        "GitHub's list before: empty",
        r"GitHub's list while the runner waits: demo-\w{8} \(online, idle, .*linux-small\)",
        r"GitHub's list while the job runs: demo-\w{8} \(online, busy, .*linux-small\)",
        "GitHub's list after: empty",
        r"job     Hello! I am nobody on demo-\w{8}",
        "GitHub  the job is reported: succeeded",
        r"config.sh: register +\d\.\d\d s",
        r"✓ exit code: 0 \(the job succeeded",
        "✓ env file: deleted",
        "✓ the job's search for a credential: found nothing",
        r"✓ our calls to GitHub's REST API: 1 ",
    ):
        assert re.search(line, shown.text), f"{line}\n{shown.text}"
    assert {"PID 1", "GitHub", "runner", "job"} == set(timeline(shown))


@of("job")
def test_is_set_up_without_a_warning(shown: Shown) -> None:
    """No warning about the demo's own settings comes before the first request."""
    first = re.search(r"^ +\d+\.\d{3} s  PID 1   (.*)$", shown.text, re.MULTILINE)
    assert first, shown.text
    assert first[1].startswith("POST /repos/acme/shop/actions/runners/registration-token"), first[1]


@of("job stopped")
def test_shows_a_stop_in_a_job(shown: Shown) -> None:
    """With SIGTERM in the middle of `sleep 60` the job is reported within docker stop's time."""
    assert shown.code == 0, shown.text
    assert "PID 1   is sent SIGTERM" in shown.text
    assert "✓ exit code: 143 (stopped by SIGTERM" in shown.text
    assert "✓ the job's result: failed (cancelled)" in shown.text
    assert "✓ runners left on GitHub's list: 0" in shown.text
    assert re.search(r"✓ from the signal to the end: [2-9]\.\d s", shown.text), shown.text


@of("idle stopped")
def test_shows_a_stop_while_idle(shown: Shown) -> None:
    """With SIGINT an idle runner ends at once, with the exit code of that signal."""
    assert shown.code == 0, shown.text
    assert "✓ exit code: 130 (stopped by SIGINT" in shown.text
    assert "the job" not in shown.text.partition("Timeline")[2]


@of("no namespace")
def test_says_that_it_has_no_namespace(shown: Shown) -> None:
    """Where unshare is not allowed, the demo says so, and runs the program as a subreaper."""
    assert shown.code == 0, shown.text
    assert "a PID namespace (unshare) is not allowed here" in shown.text


@of("ordinary user")
def test_runs_for_an_ordinary_user(shown: Shown) -> None:
    """An ordinary user's demo makes the PID namespace within a user namespace."""
    assert shown.code == 0, shown.text
    assert "unshare --user --map-current-user --pid" in shown.text
    assert "Hello! I am nobody" in shown.text


@of("broken")
def test_fails_where_a_promise_is_broken(shown: Shown) -> None:
    """If the runner cannot start, the demo fails and lists each promise."""
    assert shown.code == 1, shown.text
    assert "✗ exit code: 76" in shown.text
    assert "✗ the job's search for a credential: never ran" in shown.text
    assert "✓ runners left on GitHub's list: 0" in shown.text


def test_refuses_a_stop_that_it_does_not_know() -> None:
    """A misspelt STOP is a usage error, and no demo runs."""
    process = demo(STOP="TREM")
    text, _ = process.communicate(timeout=50)
    assert process.returncode == 2
    assert "STOP is TERM or INT" in text


def test_fills_in_the_sample() -> None:
    """Values replace the sample's own or its comments; further ones are added at the end."""
    sample = "# Whose\nOWNER=you\n#HOME=/home\nNAME=n\n"
    assert fill(sample, {"HOME": "/x", "OWNER": "acme", "API": "http://a"}) == (
        "# Whose\nOWNER=acme\nHOME=/x\nNAME=n\nAPI=http://a\n"
    )


def sample_lines(pattern: str) -> dict[str, str]:
    """Return the values of the sample's lines that begin with this pattern."""
    return dict(re.findall(rf"^{pattern}([A-Z_]+)=(.*)$", SAMPLE.read_text(), re.MULTILINE))


def test_sample_names_real_settings() -> None:
    """The program reads every variable of .env-example, also those in comments."""
    known = {*variables(), *SECRETS, *(f"{secret}_FILE" for secret in SECRETS)}
    assert set(sample_lines("#?")) <= known


def test_sample_is_ready_to_fill_in() -> None:
    """The only problems of the sample as it stands are its placeholders, which are named."""
    sample = sample_lines("")
    with pytest.raises(Failure) as failure:
        parse(sample)
    assert failure.value.message.count(": is still the placeholder of .env-example") == 2
    settings = parse({**sample, "GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"})
    assert settings.labels == ("docker", "linux-small")


def test_sample_shows_the_defaults() -> None:
    """A commented line shows the default, or an example if the default is empty."""
    defaults = {name: about["default"] for name, about in variables().items()}
    shown = sample_lines("#")
    examples = {"GITHUB_HOST", "RUNNER_GROUP"}
    wrong = {
        name: value
        for name, value in shown.items()
        if defaults.get(name) and defaults[name] != value and name not in examples
    }
    assert wrong == {}
