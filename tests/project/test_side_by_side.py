"""Tests side by side: those that share a fixture share a worker, and `alone` means alone."""

import pytest

PLUGINS = ("-p", "tests.support.side_by_side", "-p", "no:cacheprovider")
WORKERS = ("-n", "3")

CROWD = """
    import time
    from pathlib import Path

    import pytest

    HERE = Path(__file__).parent

    @pytest.fixture(scope="module")
    def made_once():
        with (HERE / "made").open("a") as file:
            file.write("x")

    def live(name):
        (HERE / f"{name}.running").touch()
        time.sleep(0.05)
        (HERE / f"{name}.running").unlink()

    @pytest.mark.parametrize("number", range(12))
    def test_in_a_crowd(number):
        live(f"crowd-{number}")

    @pytest.mark.parametrize("number", range(6))
    def test_that_shares(made_once, number):
        live(f"shares-{number}")

    @pytest.mark.alone(reason="it counts what runs")
    @pytest.mark.parametrize("number", range(3))
    def test_alone(number):
        for _ in range(10):
            assert not list(HERE.glob("*.running"))
            time.sleep(0.01)
        live(f"alone-{number}")

    def test_what_is_shared_is_made_once(made_once):
        assert (HERE / "made").read_text() == "x"
"""
TOGETHER = """
    import os
    from pathlib import Path

    import pytest

    TOGETHER = "{}"

    @pytest.mark.parametrize("number", range(6))
    def test_it(number):
        Path(__file__).with_name(f"{{TOGETHER}}.{{os.getpid()}}").touch()
"""
FAILING_LIFE = """
    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_fails(life, number):
        assert life.start(GITHUB_OWNER="nobody here").wait() == 0
"""


def test_together_and_alone(pytester: pytest.Pytester) -> None:
    """A test marked `alone` runs alone, and one worker only makes a module's fixture."""
    pytester.makepyfile(CROWD)
    result = pytester.runpytest_subprocess(*PLUGINS, *WORKERS)
    result.assert_outcomes(passed=12 + 6 + 3 + 1)


def test_modules_that_share_a_worker(pytester: pytest.Pytester) -> None:
    """One worker runs the tests of all modules that name the same worker."""
    names = {"test_a": "x", "test_b": "x", "test_c": "y", "test_d": "y"}
    pytester.makepyfile(**{module: TOGETHER.format(name) for module, name in names.items()})
    result = pytester.runpytest_subprocess(*PLUGINS, *WORKERS)
    result.assert_outcomes(passed=24)
    workers = sorted(path.name[0] for path in pytester.path.glob("?.[0-9]*"))
    assert workers == ["x", "y"]


def test_a_life_that_fails_shows_its_log(pytester: pytest.Pytester) -> None:
    """A test that fails in a worker shows the log of its own life."""
    pytester.makepyfile(FAILING_LIFE)
    result = pytester.runpytest_subprocess(*PLUGINS, *WORKERS, "-p", "tests.conftest")
    result.assert_outcomes(failed=2)
    assert str(result.stdout).count('"body": "the settings are wrong: GITHUB_OWNER') == 2


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        (["test_one.py"], 0),
        (["test_one.py::test_it"], 0),
        (["test_one.py::test_it", "test_one.py::test_that"], 0),
        (["test_one.py", "test_two.py"], 3),
        (["."], 3),
        ([], 3),
    ],
)
def test_one_file_needs_no_workers(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    workers: int,
) -> None:
    """A single file runs without workers; more files get as many as suit this machine."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0})
    for name in ("test_one", "test_two"):
        pytester.makepyfile(**{name: "def test_it(): pass\ndef test_that(): pass"})
    config = pytester.parseconfig("-p", "tests.support.side_by_side", "-n", "auto", *arguments)
    assert config.hook.pytest_xdist_auto_num_workers(config=config) == workers
