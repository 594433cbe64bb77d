"""Just-in-time configurations: registered by one request, unpacked into three files."""

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from responses import matchers

from entrypoint.errors import ExitCode, Failure
from entrypoint.github import jit
from simulator import Simulator
from tests.support import fakehub
from tests.support.fakehub import ORGANIZATION, PLACES, REPOSITORY, Clock, entry, listing
from tests.support.life import NAMESPACE, Life

NAME = "shop-0123abcd"
RUNNERS = f"{REPOSITORY}/actions/runners"
URL = f"{RUNNERS}/generate-jitconfig"
FILES = {".runner": b"{}", ".credentials": b"[]", ".credentials_rsaparams": b"\xff"}
TAKEN = {"message": "Already exists - A runner with the name", "documentation_url": "https://x.y"}


def pack(files: dict[str, bytes]) -> str:
    """Pack files as GitHub does."""
    packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return base64.b64encode(json.dumps(packed).encode()).decode()


def made(name: str = NAME, packed: str | None = None) -> dict[str, Any]:
    """Return GitHub's answer: the runner and its configuration."""
    config = pack(FILES) if packed is None else packed
    return {"runner": entry(7, name, "offline"), "encoded_jit_config": config}


def wants(**body: Any) -> Any:
    """Match a request whose JSON body has these members."""
    return matchers.json_params_matcher(body, strict_match=False)


@pytest.mark.parametrize(("values", "base"), PLACES.values(), ids=PLACES)
def test_one_request(values: dict[str, str], base: str) -> None:
    """One request registers, in every scope and on every kind of host."""
    with fakehub.hub() as hub:
        hub.post(f"{base}/actions/runners/generate-jitconfig", json=made(), status=201)
        api = fakehub.connect(values)
        runner, _, files = jit.jit_config(api, fakehub.parse(values), NAME)
        assert len(hub.calls) == 1
    assert (runner.id, runner.name) == (7, NAME)
    assert files == FILES


def test_what_is_asked_for() -> None:
    """Name, work folder, group and all labels are sent; no label is implied."""
    machine = {"x86_64": "X64", "aarch64": "ARM64"}[os.uname().machine]
    body = {
        "name": NAME,
        "runner_group_id": 1,
        "work_folder": "/w",
        "labels": ["self-hosted", "Linux", machine, "gpu"],
    }
    values = {"RUNNER_LABELS": "gpu,linux", "RUNNER_WORKDIR": "/w"}
    with fakehub.hub() as hub:
        hub.post(URL, json=made(), status=201, match=[matchers.json_params_matcher(body)])
        jit.jit_config(fakehub.connect(values), fakehub.parse(values), NAME)


def test_no_default_labels() -> None:
    """With RUNNER_NO_DEFAULT_LABELS only the given labels are sent."""
    values = {"RUNNER_LABELS": "gpu,big", "RUNNER_NO_DEFAULT_LABELS": "1"}
    assert jit.labels(fakehub.parse(values)) == ["gpu", "big"]


def test_a_named_group_is_resolved() -> None:
    """A group's name is sent as its id."""
    values = {"GITHUB_OWNER": "acme", "RUNNER_GROUP": "builders"}
    group = {
        "id": 9,
        "name": "builders",
        "visibility": "all",
        "default": False,
        "runners_url": "https://api.github.com/x",
        "inherited": False,
        "allows_public_repositories": True,
    }
    with fakehub.hub() as hub:
        groups = {"total_count": 1, "runner_groups": [group]}
        hub.get(f"{ORGANIZATION}/actions/runner-groups", json=groups)
        hub.post(
            f"{ORGANIZATION}/actions/runners/generate-jitconfig",
            json=made(),
            status=201,
            match=[wants(runner_group_id=9)],
        )
        jit.jit_config(fakehub.connect(values), fakehub.parse(values), NAME)


def test_a_lost_answer() -> None:
    """If the answer was lost, the runner is removed, and registered again under the same name."""
    with fakehub.hub() as hub:
        hub.post(URL, body=requests.ConnectionError("reset"))
        hub.post(URL, json=TAKEN, status=409)
        hub.get(RUNNERS, json=listing(entry(6, NAME, "offline")))
        hub.delete(f"{RUNNERS}/6", status=204)
        hub.post(URL, json=made(), status=201, match=[wants(name=NAME)])
        runner, *_ = jit.jit_config(fakehub.connect(clock=Clock()), fakehub.parse({}), NAME)
    assert runner.name == NAME


@pytest.mark.parametrize(("status", "busy"), [("online", False), ("offline", True)])
def test_somebody_elses_runner_stays(status: str, busy: bool) -> None:
    """A runner that is online or busy stays, and this one gets another suffix."""
    other = jit.names(NAME)[1]
    with fakehub.hub() as hub:
        hub.post(URL, json=TAKEN, status=409, match=[wants(name=NAME)])
        hub.get(RUNNERS, json=listing(entry(6, NAME, status, busy=busy)))
        hub.post(URL, json=made(other), status=201, match=[wants(name=other)])
        runner, *_ = jit.jit_config(fakehub.connect(), fakehub.parse({}), NAME)
    assert runner.name == other


def test_both_names_are_taken() -> None:
    """If the other name is taken as well, the program ends, and may be started again."""
    with fakehub.hub() as hub:
        hub.post(URL, json=TAKEN, status=409)
        hub.get(RUNNERS, json=listing(entry(6, NAME)))
        with pytest.raises(Failure, match="409 'Already exists") as failure:
            jit.jit_config(fakehub.connect(), fakehub.parse({}), NAME)
    assert failure.value.code is ExitCode.RETRY


def test_names() -> None:
    """Both names are known beforehand, differ, and keep prefix and length."""
    first, second = jit.names("shop-0123abcd")
    assert first == "shop-0123abcd"
    assert second != first
    assert second[:5] == "shop-"
    assert len(second) == len(first)
    assert jit.names(first) == (first, second)


@pytest.mark.parametrize(
    "packed",
    [
        pack({**FILES, "../run.sh": b"rm -rf"}),
        pack({".runner": b"{}"}),
        "%%%",
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b'{".runner": 1}').decode(),
        base64.b64encode(b"\xff").decode(),
    ],
)
def test_other_files_are_refused(packed: str) -> None:
    """Files that are not the known three are not written, and the runner is removed again."""
    with fakehub.hub() as hub:
        hub.post(URL, json=made(packed=packed), status=201)
        hub.delete(f"{RUNNERS}/7", status=204)
        with pytest.raises(Failure) as failure:
            jit.jit_config(fakehub.connect(), fakehub.parse({}), NAME)
    assert "RUNNER_REGISTRATION=config" in failure.value.hint


def test_an_old_server_is_named() -> None:
    """A 404 says that an old Enterprise Server has no JIT."""
    values = {"GITHUB_HOST": "ghe.example.com"}
    with fakehub.hub() as hub:
        hub.post(
            "https://ghe.example.com/api/v3/repos/acme/shop/actions/runners/generate-jitconfig",
            json=fakehub.NOT_FOUND,
            status=404,
        )
        with pytest.raises(Failure) as failure:
            jit.jit_config(fakehub.connect(values), fakehub.parse(values), NAME)
    assert "3.10" in failure.value.hint


def test_write(tmp_path: Path) -> None:
    """The files belong to the runner's user, who alone can read them."""
    jit.write(FILES, str(tmp_path), 65534, 65534)
    for name, content in FILES.items():
        status = (tmp_path / name).stat()
        assert (tmp_path / name).read_bytes() == content
        assert stat.S_IMODE(status.st_mode) == 0o600
        if os.geteuid() == 0:
            assert (status.st_uid, status.st_gid) == (65534, 65534)


def test_write_follows_nothing(tmp_path: Path) -> None:
    """A file or link that is there is neither followed nor overwritten."""
    (tmp_path / ".runner").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure, match="cannot be written: File exists"):
        jit.write(FILES, str(tmp_path), 0, 0)
    assert not (tmp_path / "elsewhere").exists()


def test_write_on_a_full_disk(new_life: Callable[..., Life], simulator: Simulator) -> None:
    """The error has the file and the system's reason; nothing stays registered."""
    life = new_life()
    fill = (
        'mkdir "$0/copy" && cp -a "$0/runner/." "$0/copy" && mount -t tmpfs -o size=1m none'
        ' "$0/runner" && cp -a "$0/copy/." "$0/runner" && mkdir -m 777 "$0/runner/_work"'
        ' && { cat /dev/zero >"$0/runner/fill" 2>/dev/null; exec "$@"; }'
    )
    full = [*NAMESPACE, "sh", "-c", fill, str(life.directory)]
    assert (
        life.start(namespace=full, RUNNER_REGISTRATION="jit", RUNNER_MIN_FREE_DISK="0").wait() == 76
    ), life.output
    assert "cannot be written: No space left on device" in life.error()
    assert simulator.runners() == []
