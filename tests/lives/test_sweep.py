"""`gh-runner sweep` removes runners that stay offline, and no others."""

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from entrypoint.commands import sweep
from entrypoint.errors import Failure
from entrypoint.github.runners import Runner
from tests.support import fakehub
from tests.support.fakehub import NOT_FOUND, REPOSITORY, entry, listing
from tests.support.life import Life, until

RUNNERS = f"{REPOSITORY}/actions/runners"
TOKEN = {"GITHUB_PERSONAL_TOKEN": fakehub.CLASSIC}
OLD = entry(1, "old-1", "offline")


def options(*argv: str) -> argparse.Namespace:
    """Return the options of a command line."""
    return sweep._options(["--prefix", "old", *argv])


def run(hub: fakehub.Hub, *argv: str) -> list[str]:
    """Sweep, and return the requests that changed something."""
    settings = fakehub.parse({})
    meant = sweep._meant(options(*argv), settings)
    slept: list[float] = []
    sweep.sweep(settings, TOKEN, meant, options(*argv), slept.append)
    assert sum(slept) in (0, options(*argv).older_than)
    return [str(c.request.url) for c in hub.calls if c.request.method == "DELETE"]


def looks(hub: fakehub.Hub, *pages: list[dict[str, Any]]) -> None:
    """Set GitHub's list for each of the looks."""
    for page in pages:
        hub.get(RUNNERS, json=listing(*page))


def test_removes_what_stays_offline() -> None:
    """A runner that is offline in both looks is removed."""
    with fakehub.hub() as hub:
        looks(hub, [OLD], [OLD])
        hub.get(f"{RUNNERS}/1", json=OLD)
        hub.delete(f"{RUNNERS}/1", status=204)
        assert run(hub) == [f"{RUNNERS}/1"]


def test_all_pages() -> None:
    """Runners on later pages are found as well."""
    first = [entry(number, f"x-{number}") for number in range(100, 200)]
    with fakehub.hub() as hub:
        looks(hub, first, [OLD], first, [OLD])
        hub.get(f"{RUNNERS}/1", json=OLD)
        hub.delete(f"{RUNNERS}/1", status=204)
        assert run(hub) == [f"{RUNNERS}/1"]


@pytest.mark.parametrize(
    "now",
    [
        [],
        [entry(1, "old-1", "online")],
        [entry(1, "old-1", "offline", busy=True)],
        [entry(2, "old-1", "offline")],
    ],
    ids=["gone", "online", "busy", "another of that name"],
)
def test_what_changes_between_the_looks_stays(now: list[dict[str, Any]]) -> None:
    """A runner that comes or goes between the looks is alive, and stays."""
    with fakehub.hub() as hub:
        looks(hub, [OLD], now)
        assert run(hub) == []


@pytest.mark.parametrize(
    "found",
    [
        entry(1, "old-1", "online"),
        entry(1, "old-1", "online", busy=True),
        entry(1, "old-1", "offline", busy=True),
        entry(1, "new-1", "offline"),
    ],
)
def test_others_stay(found: dict[str, Any]) -> None:
    """Runners that are online or busy, or have other names, are not waited for."""
    with fakehub.hub() as hub:
        looks(hub, [found])
        assert run(hub) == []
        assert len(hub.calls) == 1


def test_offline_and_busy_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """A runner that died in a job cannot be removed yet, and is named."""
    with fakehub.hub() as hub:
        looks(
            hub, [entry(1, "old-1", "offline", busy=True), entry(2, "old-2", "online", busy=True)]
        )
        assert run(hub) == []
    told = capfd.readouterr().out
    assert "old-1" in told
    assert "old-2" not in told
    assert "cancel their runs" in told


def test_everybody_s_runners_take_a_word() -> None:
    """An empty prefix, perhaps of an unset variable, is refused; --all is accepted."""
    settings = fakehub.parse({})
    with pytest.raises(Failure, match="everybody"):
        sweep._meant(sweep._options(["--prefix", ""]), settings)
    meant = sweep._meant(sweep._options(["--all"]), settings)
    assert meant(Runner(1, "whatever", "offline", False, ()))


def test_back_at_the_last_moment() -> None:
    """A runner stays if it comes back after both looks, or gets a job."""
    other = entry(2, "old-2", "offline")
    with fakehub.hub() as hub:
        looks(hub, [OLD, other], [OLD, other])
        hub.get(f"{RUNNERS}/1", json=entry(1, "old-1", "online"))
        hub.get(f"{RUNNERS}/2", json=other)
        refusal = {"message": "is currently running a job", "documentation_url": "https://x.y"}
        hub.delete(f"{RUNNERS}/2", json=refusal, status=422)
        assert run(hub) == [f"{RUNNERS}/2"]


def test_somebody_else_was_faster() -> None:
    """Two sweeps at once do not hinder each other."""
    with fakehub.hub() as hub:
        looks(hub, [OLD], [OLD], [])
        hub.get(f"{RUNNERS}/1", json=NOT_FOUND, status=404)
        assert run(hub) == []


def test_dry_run(capfd: pytest.CaptureFixture[str]) -> None:
    """With --dry-run nothing is removed, and the runners that would be are named."""
    with fakehub.hub() as hub:
        looks(hub, [OLD], [OLD])
        assert run(hub, "--dry-run") == []
    assert "would be removed (name=old-1" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("argv", "name", "labels", "chosen"),
    [
        ([], "shop-0123abcd", "x", True),
        ([], "shop-x-0123abcd", "x", False),
        ([], "shop", "x", False),
        (["--prefix", "sh"], "shop", "x", True),
        (["--all"], "anything", "x", True),
        (["--label", "GPU"], "shop-0123abcd", "x,gpu", True),
        (["--label", "gpu", "--label", "big"], "shop-0123abcd", "gpu", False),
    ],
)
def test_who_is_meant(argv: list[str], name: str, labels: str, *, chosen: bool) -> None:
    """Without --prefix RUNNER_NAME chooses the runners; labels narrow them down."""
    settings = fakehub.parse({"RUNNER_NAME": "shop"})
    meant = sweep._meant(sweep._options(argv), settings)
    assert meant(Runner(1, name, "offline", False, tuple(labels.split(",")))) is chosen


@pytest.mark.parametrize("seconds", ["-1", "soon", "nan"])
def test_wrong_usage(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A time that is no time is refused."""
    with pytest.raises(SystemExit):
        sweep._options(["--older-than", seconds])
    assert "--older-than" in capsys.readouterr().err


def test_after_kill(life: Life) -> None:
    """The registration of a killed container is removed; a sweep needs no runner."""
    life.simulator.settings(session_seconds=0.2)
    life.start()
    life.simulator.wait_for("session_opened", timeout=20)
    life.end()
    until(lambda: life.simulator.runners()[0]["status"] == "offline")
    life.start("sweep", "--older-than", "0.1")
    assert life.wait() == 0, life.output
    assert life.simulator.runners() == []
    assert [line["event"] for line in life.log] == ["looking again", "deleted", "swept"]


def test_refused(life: Life) -> None:
    """A refusal has the message and the code that it has in `run`."""
    life.simulator.fault(path="/actions/runners", refusal="bad-credentials")
    life.start("sweep")
    assert life.wait() == 77
    assert "401 'Bad credentials'" in life.error()


def test_whose(life: Life) -> None:
    """A sweep without a name to go by is refused, so that no others' runners are removed."""
    life.start("sweep", RUNNER_NAME="")
    assert life.wait() == 78
    assert "--prefix" in life.error()


def test_waits_until_a_killed_runner_is_gone(life: Life) -> None:
    """--wait is for a runner that was killed just now, which GitHub still shows as online."""
    life.simulator.settings(session_seconds=2.0)
    life.start()
    life.simulator.wait_for("listening")
    (killed,) = life.simulator.runners()
    assert killed["status"] == "online"
    life.end()
    life.start("sweep", "--prefix", killed["name"], "--older-than", "0", "--wait", "20")
    assert life.wait() == 0, life.output
    assert life.simulator.runners() == []


def test_tells_of_what_stays(new_life: Callable[..., Life]) -> None:
    """A healthy runner is not removed, and --wait reports it, with 74."""
    life, sweeper = new_life(), new_life()
    life.start()
    life.simulator.wait_for("listening")
    (runner,) = life.simulator.runners()
    words = ["--prefix", runner["name"], "--older-than", "0", "--wait", "0.5"]
    assert sweeper.start("sweep", *words).wait() == 74
    assert f"GitHub still lists {runner['name']}" in sweeper.error()
    assert life.simulator.runners() == [runner]
