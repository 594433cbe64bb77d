"""Which release of GitHub's runner an image gets: `image/choose_runner.py` at a stand-in's API."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "image" / "choose_runner.py"
X64, ARM64, OTHER = "a" * 64, "b" * 64, "c" * 64
OFFLINE = "to build without GitHub's API, set RUNNER_VERSION and RUNNER_SHA256"
NOBODY = "http://127.0.0.1:1"


def release(version: str, **changes: Any) -> dict[str, Any]:
    """What GitHub tells of a release, as far as it matters here."""
    digests = {"linux-x64": X64, "linux-arm64": ARM64, "osx-x64": OTHER}
    return {
        "tag_name": f"v{version}",
        "published_at": "2026-09-10T12:34:56Z",
        "assets": [
            {"name": f"actions-runner-{kind}-{version}.tar.gz", "digest": f"sha256:{digest}"}
            for kind, digest in digests.items()
        ],
        **changes,
    }


class Releases(ThreadingHTTPServer):
    """The part of GitHub's API that has the releases: what a path answers, and who asked how."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        newest, older = json.dumps(release("2.337.0")), json.dumps(release("2.336.0"))
        self.answers: dict[str, list[tuple[int, str]]] = {
            "/latest": [(200, newest)],
            "/tags/v2.337.0": [(200, newest)],
            "/tags/v2.336.0": [(200, older)],
        }
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Gives the answers of a path one after the other, the last one again and again."""

    server: Releases

    def do_GET(self) -> None:
        """Answer, with a redirection if the body is the address of one."""
        self.server.asked.append((self.path, self.headers["Authorization"]))
        answers = self.server.answers.get(self.path, [(404, '{"message": "Not Found"}')])
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", body)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def releases() -> Iterator[Releases]:
    """A stand-in for GitHub's releases, of which 2.337.0 is the newest."""
    with Releases() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def choose(api_url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script with an environment that has nothing else in it."""
    return subprocess.run(
        [sys.executable, "-I", SCRIPT],
        env={"RUNNER_API_URL": api_url, "NO_PROXY": "127.0.0.1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def chosen(api_url: str, **environ: str) -> dict[str, str]:
    """Return what it prints."""
    done = choose(api_url, **environ)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def refused(api_url: str, **environ: str) -> str:
    """Return why it chooses nothing: one line, and nothing on stdout."""
    done = choose(api_url, **environ)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line.removeprefix("choose-runner: ")


def test_the_newest_release_with_its_digests(releases: Releases) -> None:
    """Without a version the newest one is taken, with GitHub's digests, and that is printed."""
    assert chosen(releases.url) == {
        "RUNNER_VERSION": "2.337.0",
        "RUNNER_SHA256": f"x64={X64},arm64={ARM64}",
        "RUNNER_RELEASED": "2026-09-10",
    }
    said = choose(releases.url).stderr
    assert said == "GitHub's runner 2.337.0, released 2026-09-10, the newest release\n"


def test_a_pinned_version_with_github_s_digests(releases: Releases) -> None:
    """A version alone is looked up: its archive is checked all the same."""
    found = chosen(releases.url, RUNNER_VERSION="2.336.0")
    assert (found["RUNNER_VERSION"], found["RUNNER_RELEASED"]) == ("2.336.0", "2026-09-10")
    assert found["RUNNER_SHA256"] == f"x64={X64},arm64={ARM64}"


@pytest.mark.parametrize("sha256", [OTHER, f"x64={OTHER}", f"arm64={X64},x64={OTHER}"])
def test_a_pinned_checksum_asks_nobody(sha256: str) -> None:
    """With a version and a checksum an image is built where GitHub's API cannot be reached."""
    found = chosen(NOBODY, RUNNER_VERSION="2.336.0", RUNNER_SHA256=sha256)
    assert found == {
        "RUNNER_VERSION": "2.336.0",
        "RUNNER_SHA256": sha256,
        "RUNNER_RELEASED": "",
    }


def test_what_it_printed_is_taken_again(releases: Releases) -> None:
    """The machine that builds chooses, and the build inside it takes that as it is."""
    first = chosen(releases.url)
    assert chosen(NOBODY, **first) == first


def test_a_checksum_may_be_copied_from_anywhere() -> None:
    """Upper case, spaces and line breaks are no reason to refuse."""
    sha256 = f" x64={OTHER.upper()},\n arm64={ARM64} "
    found = chosen(NOBODY, RUNNER_VERSION="2.336.0", RUNNER_SHA256=sha256)
    assert found["RUNNER_SHA256"] == f"x64={OTHER},arm64={ARM64}"


def test_all_that_is_wrong_is_named_at_once() -> None:
    """Each setting that is wrong is named, with what it takes."""
    said = refused(NOBODY, RUNNER_VERSION="v2", RUNNER_SHA256="abc", RUNNER_RELEASED="soon")
    assert [name for name in ("VERSION", "SHA256", "RELEASED") if f"RUNNER_{name} is" in said] == [
        "VERSION",
        "SHA256",
        "RELEASED",
    ]


@pytest.mark.parametrize(
    "version", ["2.336", "latest", "v2.336.0", "2.336.0-beta", "2.336.0/../x", "2.336.0\nX=1"]
)
def test_what_is_no_version(version: str) -> None:
    """A version is three numbers: nothing else gets into an address or into a file."""
    assert "no version such as 2.336.0" in refused(NOBODY, RUNNER_VERSION=version)


def test_a_checksum_belongs_to_a_version(releases: Releases) -> None:
    """A checksum without a version would fail with the next release: that is said at once."""
    said = refused(releases.url, RUNNER_SHA256=OTHER)
    assert said.startswith("RUNNER_SHA256 is set and RUNNER_VERSION is not")
    assert releases.asked == []


def test_nobody_answers() -> None:
    """Where GitHub's API cannot be reached, the settings that do without it are named."""
    said = refused(NOBODY)
    assert said.startswith(f"cannot reach {NOBODY}/latest: ")
    assert said.endswith(OFFLINE)


def test_a_bad_address() -> None:
    """What is no URL is told as it was given."""
    assert refused("mirror.example.com").startswith("cannot reach mirror.example.com/latest: ")


@pytest.mark.parametrize("status", [403, 429])
def test_too_many_requests(releases: Releases, status: int) -> None:
    """GitHub counts requests by address: what raises the limit, and what does without, is said."""
    releases.answers["/latest"] = [(status, '{"message": "API rate limit exceeded"}')]
    said = refused(releases.url)
    assert "GH_TOKEN" in said
    assert said.endswith(OFFLINE)


def test_a_trouble_that_passes(releases: Releases) -> None:
    """A failure of GitHub's own is tried again."""
    releases.answers["/latest"].insert(0, (502, "<html>Bad gateway</html>"))
    assert chosen(releases.url)["RUNNER_VERSION"] == "2.337.0"


def test_a_trouble_that_stays(releases: Releases) -> None:
    """Trying again has an end."""
    releases.answers["/latest"] = [(503, "")]
    assert "/latest: 503" in refused(releases.url)
    assert len(releases.asked) == 3


def test_no_such_version(releases: Releases) -> None:
    """A version that was never released is refused by its address."""
    said = refused(releases.url, RUNNER_VERSION="9.9.9")
    assert said == f"{releases.url}/tags/v9.9.9: 404, there is no such release"


@pytest.mark.parametrize(
    "body",
    [
        "<html>Welcome to the hotel's network</html>",
        "[]",
        "{}",
        json.dumps(release("2.337.0", assets=None)),
    ],
)
def test_no_release(releases: Releases, body: str) -> None:
    """A portal's page, or anything else that is no release, is refused."""
    releases.answers["/latest"] = [(200, body)]
    said = refused(releases.url)
    assert "something that is no release" in said
    assert said.endswith(OFFLINE)


@pytest.mark.parametrize("tag", ["v2.337.0-rc1", "latest", "v2.337.0\nRUNNER_URL=http://evil"])
def test_a_tag_that_is_no_version(releases: Releases, tag: str) -> None:
    """What GitHub calls the release gets into addresses and files: it has to be a version."""
    releases.answers["/latest"] = [(200, json.dumps(release("2.337.0", tag_name=tag)))]
    assert refused(releases.url).endswith(OFFLINE)


def test_another_version_than_asked_for(releases: Releases) -> None:
    """A mirror that answers with another release is not believed."""
    releases.answers["/tags/v2.336.0"] = [(200, json.dumps(release("2.335.0")))]
    assert "tells of the release '2.335.0'" in refused(releases.url, RUNNER_VERSION="2.336.0")


def test_a_release_without_digests(releases: Releases) -> None:
    """GitHub has no digests of old releases: no image gets an archive that nobody checked."""
    old = release("2.320.0")
    for asset in old["assets"]:
        asset["digest"] = None
    releases.answers["/tags/v2.320.0"] = [(200, json.dumps(old))]
    said = refused(releases.url, RUNNER_VERSION="2.320.0")
    assert "set RUNNER_VERSION=2.320.0 and RUNNER_SHA256, from the notes of the release" in said


def test_one_architecture_without_a_digest(releases: Releases) -> None:
    """An architecture that is not there yet is no obstacle for the other one."""
    half = release("2.337.0")
    half["assets"] = [asset for asset in half["assets"] if "arm64" not in asset["name"]]
    releases.answers["/latest"] = [(200, json.dumps(half))]
    assert chosen(releases.url)["RUNNER_SHA256"] == f"x64={X64}"


def test_the_token_goes_to_the_api_alone(releases: Releases) -> None:
    """The token is sent to whom it is for, and not to where that one leads on."""
    with Releases() as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        releases.answers["/latest"] = [(302, f"{elsewhere.url}/latest")]
        chosen(releases.url, GH_TOKEN="ghs_secret")
        assert releases.asked == [("/latest", "Bearer ghs_secret")]
        assert elsewhere.asked == [("/latest", None)]
        elsewhere.shutdown()


def test_an_endless_answer(releases: Releases) -> None:
    """A body without an end is cut off."""
    releases.answers["/latest"] = [(200, " " * 6_000_000)]
    assert "more than 5000000 bytes" in refused(releases.url)
