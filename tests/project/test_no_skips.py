"""With CI=true a skipped test is a failure, and without it is not."""

import pytest

SKIPS = """
    import pytest

    @pytest.mark.skip(reason="by mark")
    def test_marked(): pass

    def test_skips_itself(): pytest.skip("on its own")
"""
SKIPPED_MODULE = 'import pytest; pytest.skip("as a whole", allow_module_level=True)'
EXPECTED_FAILURE = """
    import pytest

    @pytest.mark.xfail
    def test_known_fault(): assert False
"""


def run(pytester: pytest.Pytester, source: str) -> dict[str, int]:
    """Run a test module with this source and the plugin, and return the number of each outcome."""
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess("-p", "tests.support.no_skips").parseoutcomes()


def test_skips_fail_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A skip by a mark (an error at set-up) and a skip at run time both fail."""
    monkeypatch.setenv("CI", "true")
    assert run(pytester, SKIPS) == {"errors": 1, "failed": 1}


def test_skipped_module_fails_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that skips itself while it is imported is an error."""
    monkeypatch.setenv("CI", "true")
    assert run(pytester, SKIPPED_MODULE) == {"errors": 1}


def test_expected_failure_passes_in_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expected failure is not a skip."""
    monkeypatch.setenv("CI", "true")
    assert run(pytester, EXPECTED_FAILURE) == {"xfailed": 1}


def test_skips_are_allowed_elsewhere(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without CI=true a skipped test is no failure: the machine may lack what it needs."""
    monkeypatch.delenv("CI", raising=False)
    assert run(pytester, SKIPS) == {"skipped": 2}
