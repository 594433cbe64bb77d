"""The questions to GitHub in every scope and on every kind of host."""

from pathlib import Path

import pytest
import responses
from responses import matchers

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import runners
from entrypoint.github.runners import Removal, Runner
from tests.support import fakehub
from tests.support.fakehub import NOT_FOUND, PLACES, REPOSITORY, TOKEN, Clock, entry, listing

everywhere = pytest.mark.parametrize(("values", "base"), PLACES.values(), ids=PLACES)
RUNNERS = f"{REPOSITORY}/actions/runners"


@everywhere
@pytest.mark.parametrize("which", ["registration_token", "remove_token"])
def test_tokens(values: dict[str, str], base: str, which: str) -> None:
    """Registration and remove tokens come from the address of the scope."""
    path = which.replace("_", "-")
    with fakehub.hub() as hub:
        hub.post(f"{base}/actions/runners/{path}", json=TOKEN, status=201)
        assert getattr(runners, which)(fakehub.connect(values)) == TOKEN["token"]


@everywhere
def test_find(values: dict[str, str], base: str) -> None:
    """A runner is found by its exact name."""
    with fakehub.hub() as hub:
        hub.get(f"{base}/actions/runners", json=listing(entry(7, "one"), entry(8, "one-more")))
        api = fakehub.connect(values)
        assert runners.find(api, "one-more") == Runner(8, "one-more", "online", False, ("linux",))
        assert hub.calls[0].request.params["name"] == "one-more"  # type: ignore[attr-defined]


@everywhere
def test_get(values: dict[str, str], base: str) -> None:
    """A runner is looked up by its id."""
    with fakehub.hub() as hub:
        hub.get(f"{base}/actions/runners/7", json=entry(7, "one", "offline", busy=True))
        found = runners.get(fakehub.connect(values), 7)
    assert found == Runner(7, "one", "offline", True, ("linux",))


@everywhere
def test_delete(values: dict[str, str], base: str) -> None:
    """A runner is taken off the list by its id."""
    with fakehub.hub() as hub:
        hub.delete(f"{base}/actions/runners/7", status=204)
        assert runners.delete(fakehub.connect(values), 7) is Removal.DELETED


def test_every_request_names_its_version_and_credential() -> None:
    """Every request has a fixed API version, and the token as a bearer."""
    with fakehub.hub() as hub:
        hub.post(f"{RUNNERS}/remove-token", json=TOKEN, status=201)
        runners.remove_token(fakehub.connect())
        sent = hub.calls[0].request.headers
    assert sent["Authorization"] == f"Bearer {fakehub.CLASSIC}"
    assert sent["X-GitHub-Api-Version"] == "2022-11-28"
    assert sent["Accept"] == "application/vnd.github+json"


def test_netrc_does_not_replace_the_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ~/.netrc with that host does not replace the given token."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.github.com login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with fakehub.hub() as hub:
        hub.post(f"{RUNNERS}/remove-token", json=TOKEN, status=201)
        runners.remove_token(fakehub.connect())
        assert hub.calls[0].request.headers["Authorization"] == f"Bearer {fakehub.CLASSIC}"


def test_find_reads_all_pages() -> None:
    """If a server ignores `?name=`, all pages are read."""
    first = [entry(number, f"other-{number}") for number in range(100)]
    with fakehub.hub() as hub:
        for page, entries in {"1": first, "2": [entry(500, "mine")]}.items():
            query = {"name": "mine", "per_page": "100", "page": page}
            hub.get(
                RUNNERS,
                json=listing(*entries, total=101),
                match=[matchers.query_param_matcher(query)],
            )
        found = runners.find(fakehub.connect(), "mine")
    assert found is not None
    assert found.id == 500


def test_find_none() -> None:
    """A name that is not on the list is not found, even if a similar one is."""
    with fakehub.hub() as hub:
        hub.get(RUNNERS, json=listing(entry(7, "mine-2")))
        assert runners.find(fakehub.connect(), "mine") is None


@pytest.mark.parametrize(("call", "gone"), [("get", None), ("delete", Removal.GONE)])
def test_one_runner_is_gone(call: str, gone: object) -> None:
    """A 404 for one runner means that it is gone, if the list can be read."""
    with fakehub.hub() as hub:
        method = responses.GET if call == "get" else responses.DELETE
        hub.add(method, f"{RUNNERS}/7", json=NOT_FOUND, status=404)
        hub.get(RUNNERS, json=listing())
        assert getattr(runners, call)(fakehub.connect(), 7) is gone


@pytest.mark.parametrize("call", ["get", "delete"])
def test_the_whole_list_is_hidden(call: str) -> None:
    """A 404 for the list as well is a refusal, which says nothing about the runner."""
    with fakehub.hub() as hub:
        method = responses.GET if call == "get" else responses.DELETE
        hub.add(method, f"{RUNNERS}/7", json=NOT_FOUND, status=404)
        hub.get(RUNNERS, json=NOT_FOUND, status=404)
        with pytest.raises(Failure) as failure:
            getattr(runners, call)(fakehub.connect(), 7)
    assert failure.value.code is ExitCode.REFUSED


def test_delete_busy() -> None:
    """A runner with a job is not deleted, and the caller learns that."""
    words = {"message": "Runner is currently running a job and cannot be deleted."}
    words |= {"documentation_url": "https://docs.github.com/rest"}
    with fakehub.hub() as hub:
        hub.delete(f"{RUNNERS}/7", json=words, status=422)
        assert runners.delete(fakehub.connect(), 7) is Removal.BUSY


def test_a_lost_answer_to_a_removal_is_asked_again() -> None:
    """A removal whose answer was lost is repeated; a 404 then means that it was done."""
    with fakehub.hub() as hub:
        hub.delete(f"{RUNNERS}/7", json={"message": "Server Error"}, status=502)
        hub.delete(f"{RUNNERS}/7", json=NOT_FOUND, status=404)
        hub.get(RUNNERS, json=listing())
        assert runners.delete(fakehub.connect(clock=Clock()), 7) is Removal.GONE


def test_registration_token_as_it_is() -> None:
    """RUNNER_TOKEN needs no other token; lists are asked for as config.sh does."""
    with fakehub.hub() as hub:
        api = fakehub.connect({"RUNNER_TOKEN": TOKEN["token"]})
        assert runners.registration_token(api) == TOKEN["token"]
        assert runners.remove_token(api) == TOKEN["token"]
        hub.get(RUNNERS, json=listing())
        assert runners.find(api, "mine") is None
        assert hub.calls[0].request.headers["Authorization"] == f"RemoteAuth {TOKEN['token']}"


def test_registration_token_reads_nothing_but_the_list() -> None:
    """With RUNNER_TOKEN a runner is found in the list, as config.sh does."""
    with fakehub.hub() as hub:
        api = fakehub.connect({"RUNNER_TOKEN": TOKEN["token"]})
        hub.get(RUNNERS, json=listing(entry(7, "mine")))
        found = runners.get(api, 7)
        assert found is not None
        assert found.name == "mine"
        assert runners.get(api, 8) is None


def test_an_api_keeps_its_secrets_to_itself() -> None:
    """A printed Client shows no secret, for example in a traceback."""
    assert TOKEN["token"] not in repr(fakehub.connect({"RUNNER_TOKEN": TOKEN["token"]}))
    assert fakehub.CLASSIC not in repr(fakehub.connect())


def test_an_answer_of_something_else() -> None:
    """JSON without GitHub's members is an error about another server, without a traceback."""
    with responses.RequestsMock() as hub:
        hub.post(f"{RUNNERS}/remove-token", json={"status": "ok"}, status=200)
        with pytest.raises(Failure, match="no 'token' in the answer") as failure:
            runners.remove_token(fakehub.connect())
    assert failure.value.code is ExitCode.CONFIG
