"""`image/choose_runner.py` chooses a release of GitHub's runner; a stand-in plays GitHub."""

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
    """Return what GitHub's API says about a release: the fields that the script reads."""
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
    """The releases of GitHub's API: answers by path, and the requests that came, with tokens."""

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
        """The address of this server."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Gives the answers of a path in turn, and the last one again and again."""

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
    """Run the script with these variables as its whole environment."""
    return subprocess.run(
        [sys.executable, "-I", SCRIPT],
        env={"RUNNER_API_URL": api_url, "NO_PROXY": "127.0.0.1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def chosen(api_url: str, **environ: str) -> dict[str, str]:
    """Return the variables that the script prints."""
    done = choose(api_url, **environ)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def refused(api_url: str, **environ: str) -> str:
    """Return the one line by which the script fails; it prints nothing on stdout."""
    done = choose(api_url, **environ)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line.removeprefix("choose-runner: ")


def test_the_newest_release_with_its_digests(releases: Releases) -> None:
    """Without a version the script chooses the newest one, and prints GitHub's digests of it."""
    assert chosen(releases.url) == {
        "RUNNER_VERSION": "2.337.0",
        "RUNNER_SHA256": f"x64={X64},arm64={ARM64}",
        "RUNNER_RELEASED": "2026-09-10",
    }
    said = choose(releases.url).stderr
    assert said == "GitHub's runner 2.337.0, released 2026-09-10, the newest release\n"


def test_a_pinned_version_with_github_s_digests(releases: Releases) -> None:
    """With a version alone the script asks GitHub for its digests, so that archives are checked."""
    found = chosen(releases.url, RUNNER_VERSION="2.336.0")
    assert (found["RUNNER_VERSION"], found["RUNNER_RELEASED"]) == ("2.336.0", "2026-09-10")
    assert found["RUNNER_SHA256"] == f"x64={X64},arm64={ARM64}"


@pytest.mark.parametrize("sha256", [OTHER, f"x64={OTHER}", f"arm64={X64},x64={OTHER}"])
def test_a_pinned_checksum_asks_nobody(sha256: str) -> None:
    """With a version and a checksum the script sends no request: GitHub may be out of reach."""
    found = chosen(NOBODY, RUNNER_VERSION="2.336.0", RUNNER_SHA256=sha256)
    assert found == {
        "RUNNER_VERSION": "2.336.0",
        "RUNNER_SHA256": sha256,
        "RUNNER_RELEASED": "",
    }


def test_what_it_printed_is_taken_again(releases: Releases) -> None:
    """A machine that builds passes what the script has printed into the build, which keeps it."""
    first = chosen(releases.url)
    assert chosen(NOBODY, **first) == first


def test_a_checksum_may_be_copied_from_anywhere() -> None:
    """A checksum may be in upper case, and have spaces and line breaks."""
    sha256 = f" x64={OTHER.upper()},\n arm64={ARM64} "
    found = chosen(NOBODY, RUNNER_VERSION="2.336.0", RUNNER_SHA256=sha256)
    assert found["RUNNER_SHA256"] == f"x64={OTHER},arm64={ARM64}"


def test_all_that_is_wrong_is_named_at_once() -> None:
    """The error names each wrong setting, and the values that it takes."""
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
    """A checksum without a version is refused at once: it would not fit the next release."""
    said = refused(releases.url, RUNNER_SHA256=OTHER)
    assert said.startswith("RUNNER_SHA256 is set and RUNNER_VERSION is not")
    assert releases.asked == []


def test_nobody_answers() -> None:
    """If GitHub's API is out of reach, the error names the settings that need no request."""
    said = refused(NOBODY)
    assert said.startswith(f"cannot reach {NOBODY}/latest: ")
    assert said.endswith(OFFLINE)


def test_a_bad_address() -> None:
    """The error quotes an address that is no URL."""
    assert refused("mirror.example.com").startswith("cannot reach mirror.example.com/latest: ")


@pytest.mark.parametrize("status", [403, 429])
def test_too_many_requests(releases: Releases, status: int) -> None:
    """At GitHub's limit for an address, the error names a token and what needs no request."""
    releases.answers["/latest"] = [(status, '{"message": "API rate limit exceeded"}')]
    said = refused(releases.url)
    assert "GH_TOKEN" in said
    assert said.endswith(OFFLINE)


def test_a_trouble_that_passes(releases: Releases) -> None:
    """After an answer that is GitHub's own failure (502) the script tries again."""
    releases.answers["/latest"].insert(0, (502, "<html>Bad gateway</html>"))
    assert chosen(releases.url)["RUNNER_VERSION"] == "2.337.0"


def test_a_trouble_that_stays(releases: Releases) -> None:
    """If GitHub goes on failing, the script gives up after three tries."""
    releases.answers["/latest"] = [(503, "")]
    assert "/latest: 503" in refused(releases.url)
    assert len(releases.asked) == 3


def test_no_such_version(releases: Releases) -> None:
    """If a version was never released, the error has the address that was asked."""
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
    """An answer that is no release, such as a hotel's login page, is refused."""
    releases.answers["/latest"] = [(200, body)]
    said = refused(releases.url)
    assert "something that is no release" in said
    assert said.endswith(OFFLINE)


@pytest.mark.parametrize("tag", ["v2.337.0-rc1", "latest", "v2.337.0\nRUNNER_URL=http://evil"])
def test_a_tag_that_is_no_version(releases: Releases, tag: str) -> None:
    """A tag that is no version is refused, since it would get into addresses and files."""
    releases.answers["/latest"] = [(200, json.dumps(release("2.337.0", tag_name=tag)))]
    assert refused(releases.url).endswith(OFFLINE)


def test_another_version_than_asked_for(releases: Releases) -> None:
    """A mirror that answers with another release than it was asked for is refused."""
    releases.answers["/tags/v2.336.0"] = [(200, json.dumps(release("2.335.0")))]
    assert "tells of the release '2.335.0'" in refused(releases.url, RUNNER_VERSION="2.336.0")


def test_a_release_without_digests(releases: Releases) -> None:
    """A release without digests, as old ones are, is refused: its archive cannot be checked."""
    old = release("2.320.0")
    for asset in old["assets"]:
        asset["digest"] = None
    releases.answers["/tags/v2.320.0"] = [(200, json.dumps(old))]
    said = refused(releases.url, RUNNER_VERSION="2.320.0")
    assert "set RUNNER_VERSION=2.320.0 and RUNNER_SHA256, from the notes of the release" in said


def test_one_architecture_without_a_digest(releases: Releases) -> None:
    """If one architecture has no archive yet, the other one is chosen all the same."""
    half = release("2.337.0")
    half["assets"] = [asset for asset in half["assets"] if "arm64" not in asset["name"]]
    releases.answers["/latest"] = [(200, json.dumps(half))]
    assert chosen(releases.url)["RUNNER_SHA256"] == f"x64={X64}"


def test_the_token_goes_to_the_api_alone(releases: Releases) -> None:
    """The token is sent to the API, and not to the host to which the API redirects."""
    with Releases() as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        releases.answers["/latest"] = [(302, f"{elsewhere.url}/latest")]
        chosen(releases.url, GH_TOKEN="ghs_secret")
        assert releases.asked == [("/latest", "Bearer ghs_secret")]
        assert elsewhere.asked == [("/latest", None)]
        elsewhere.shutdown()


def test_an_endless_answer(releases: Releases) -> None:
    """The script stops reading an answer that has no end."""
    releases.answers["/latest"] = [(200, " " * 6_000_000)]
    assert "more than 5000000 bytes" in refused(releases.url)
