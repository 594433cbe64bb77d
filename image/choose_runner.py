"""Chooses the release of GitHub's runner that an image gets, and prints it as NAME=VALUE lines.

Usage: python3 choose_runner.py

The environment says which one:

RUNNER_VERSION   such as 2.336.0; empty: the newest release
RUNNER_SHA256    checksum of its archive, or of one for each architecture: x64=...,arm64=...;
                 empty: the digests that GitHub publishes for the release
RUNNER_RELEASED  day of that release, such as 2026-09-10; only told on, never checked
RUNNER_API_URL   the releases in GitHub's API, or in a mirror of it
GH_TOKEN         a token for that API, which raises its limit of requests

GitHub is asked unless both a version and a checksum are given. The same names are printed, each
with a value; a day that nobody knows stays empty. Exit code 1: there is no such release, or not
enough is known of it; what to do about it is on stderr.

It runs with Python 3.9 or later and nothing else: in the image's build, and on the machine that
builds (scripts/build-image), where the labels of the image come from.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from typing import Any, NoReturn

API_URL = "https://api.github.com/repos/actions/runner/releases"
ARCHITECTURES = ("x64", "arm64")
TRIES = 3
PAUSE = 1.0  # seconds between two tries
TIMEOUT = 15.0  # seconds that GitHub may be silent
DEADLINE = 45.0  # seconds that one answer may take
LARGEST = 5_000_000  # bytes; an answer has some 50,000

VERSION = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CHECKSUM = re.compile(r"[0-9a-f]{64}")
OF_ARCHITECTURE = re.compile(rf"(?:{'|'.join(ARCHITECTURES)})=[0-9a-f]{{64}}")
WITHOUT_API = "to build without GitHub's API, set RUNNER_VERSION and RUNNER_SHA256"


class Refusal(Exception):
    """Why there is nothing to choose, in words for the person who builds."""


def main() -> int:
    """Print the release; what was taken, and why, goes to stderr for the log of the build."""
    try:
        given = read(dict(os.environ))
        if given["version"] and given["sha256"]:
            chosen, why = given, "as RUNNER_VERSION and RUNNER_SHA256 say"
        else:
            chosen = asked(given, os.environ.get("RUNNER_API_URL") or API_URL)
            why = "as RUNNER_VERSION says" if given["version"] else "the newest release"
    except Refusal as refusal:
        print(f"choose-runner: {refusal}", file=sys.stderr)
        return 1
    day = f", released {chosen['released']}" if chosen["released"] else ""
    print(f"GitHub's runner {chosen['version']}{day}, {why}", file=sys.stderr)
    for name in ("version", "sha256", "released"):
        print(f"RUNNER_{name.upper()}={chosen[name]}")
    return 0


def read(environ: dict[str, str]) -> dict[str, str]:
    """Return what the environment pins; raise a Refusal that names everything that is wrong."""
    names = ("version", "sha256", "released")
    given = {name: environ.get(f"RUNNER_{name.upper()}", "").strip() for name in names}
    given["sha256"] = ",".join(given["sha256"].lower().replace(",", " ").split())
    problems = []
    if given["version"] and not VERSION.fullmatch(given["version"]):
        problems.append(f"RUNNER_VERSION is {given['version']!r}, no version such as 2.336.0")
    if given["sha256"] and not (
        CHECKSUM.fullmatch(given["sha256"])
        or all(OF_ARCHITECTURE.fullmatch(part) for part in given["sha256"].split(","))
    ):
        problems.append(
            f"RUNNER_SHA256 is {given['sha256']!r}: neither 64 hexadecimal digits nor"
            " x64=DIGITS,arm64=DIGITS"
        )
    if given["released"] and not DAY.fullmatch(given["released"]):
        problems.append(f"RUNNER_RELEASED is {given['released']!r}, no day such as 2026-09-10")
    problems += [
        f"RUNNER_{name.upper()} is set and RUNNER_VERSION is not: it belongs to one version"
        for name in ("sha256", "released")
        if given[name] and not given["version"]
    ]
    if problems:
        raise Refusal("; ".join(problems))
    return given


def asked(given: dict[str, str], api_url: str) -> dict[str, str]:
    """Return what GitHub's API tells of the pinned version, or of the newest one."""
    version = given["version"]
    path = f"/tags/v{version}" if version else "/latest"
    url = api_url.rstrip("/") + path
    body = answer(url)
    try:
        release = json.loads(body)
        found = str(release["tag_name"])
        day = str(release.get("published_at") or "")[:10]
        assets = {str(asset["name"]): asset.get("digest") for asset in release["assets"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(f"{url} answers with something that is no release; {WITHOUT_API}") from None
    found = found.removeprefix("v")
    if not VERSION.fullmatch(found) or (version and found != version):
        raise Refusal(f"{url} tells of the release {found!r}; {WITHOUT_API}")
    digests = {
        arch: str(digest)[len("sha256:") :]
        for arch in ARCHITECTURES
        if (digest := assets.get(f"actions-runner-linux-{arch}-{found}.tar.gz"))
        and re.fullmatch("sha256:" + CHECKSUM.pattern, str(digest))
    }
    if not digests:
        raise Refusal(
            f"{url} tells no checksum of its archives (GitHub has them since June 2025):"
            f" set RUNNER_VERSION={found} and RUNNER_SHA256, from the notes of the release"
        )
    return {
        "version": found,
        "sha256": ",".join(f"{arch}={digest}" for arch, digest in digests.items()),
        "released": given["released"] or (day if DAY.fullmatch(day) else ""),
    }


def answer(url: str) -> bytes:
    """Return GitHub's answer; raise a Refusal that says why there is none."""
    headers = {"Accept": "application/vnd.github+json", "User-Agent": "gh-runner"}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the builder's own
    except ValueError as error:
        raise Refusal(f"cannot reach {url}: {error}; {WITHOUT_API}") from None
    if token := os.environ.get("GH_TOKEN"):
        # Not to where a redirection leads: that may be another host.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    for left in range(TRIES - 1, -1, -1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
                return whole(response)
        except urllib.error.HTTPError as error:
            if error.code < 500 or not left:
                refuse(url, error)
        except (OSError, http.client.HTTPException) as error:
            if not left:
                reason = getattr(error, "reason", None) or error
                raise Refusal(f"cannot reach {url}: {reason}; {WITHOUT_API}") from None
        time.sleep(PAUSE)
    raise AssertionError  # the last try returns or raises


def whole(response: Any) -> bytes:
    """Return the body, unless it is endless in time or in length."""
    deadline = time.monotonic() + DEADLINE
    body = b""
    while piece := response.read1(65536):
        body += piece
        if time.monotonic() > deadline:
            raise TimeoutError(f"the answer takes longer than {DEADLINE:.0f} s")
        if len(body) > LARGEST:
            raise Refusal(f"the answer has more than {LARGEST} bytes; {WITHOUT_API}")
    return body


def refuse(url: str, error: urllib.error.HTTPError) -> NoReturn:
    """Raise what a refusal by GitHub means."""
    if error.code == 404:
        raise Refusal(f"{url}: 404, there is no such release") from None
    if error.code in (403, 429):
        raise Refusal(
            f"{url}: {error.code}; GitHub limits requests by address. `make image` sends the"
            f" token in GH_TOKEN, which raises the limit; {WITHOUT_API}"
        ) from None
    raise Refusal(f"{url}: {error.code} {error.reason}; {WITHOUT_API}") from None


if __name__ == "__main__":
    sys.exit(main())
