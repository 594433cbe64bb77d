"""Names of images in a real registry: which are written, which move, which are refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from release.registry import Repository
from release.versions import FLAVOURS
from tests.release.command import NOTHING, fake, refuses, succeeds
from tests.release.conftest import FIRST, TWO, Build
from tests.release.registry import tags

Publish = Callable[..., str]


@pytest.fixture
def publish(users: Repository) -> Publish:
    """Publish a build as a version, as the workflow does."""

    def run(version: str, key: str, *options: str, env: Mapping[str, str] = NOTHING) -> str:
        where = ["--from", f"{users.name}-build:{key}", "--to", users.name]
        if "--flavours" not in options:
            where += ["--flavours", *FIRST]
        return succeeds("publish", version, *where, *options, env=env)

    return run


def is_called(repository: Repository, digest: str) -> set[str]:
    """Return the tags that point to a digest."""
    return {tag for tag, found in tags(repository.name).items() if found == digest}


def test_a_release_gets_its_names_and_no_other(
    users: Repository, build: Build, publish: Publish
) -> None:
    """1.2.3 gets 1.2.3, 1.2, 1 and latest; each flavour has its own tags, and so have the bases."""
    digests = build("aaa", *FLAVOURS)
    said = publish("v1.2.3", "aaa", "--flavours", *FLAVOURS)
    assert is_called(users, digests["ubuntu"]) == {
        *("1.2.3", "1.2", "1", "latest"),
        *("1.2.3-ubuntu", "1.2-ubuntu", "1-ubuntu", "ubuntu"),
    }
    for flavour in FLAVOURS[1:]:
        own = {f"1.2.3-{flavour}", f"1.2-{flavour}", f"1-{flavour}", flavour}
        assert is_called(users, digests[flavour]) == own
    assert len(tags(users.name)) == 8 + 3 * 4
    bases = Repository(f"{users.name}-base")
    assert is_called(bases, digests["base-ubuntu"]) >= {"1.2.3", "latest"}
    assert f"{users.name}:1.2.3@{digests['ubuntu']}\n" in said


def test_all_architectures_come_along(users: Repository, build: Build, publish: Publish) -> None:
    """What a tag leads to is byte by byte what was built, on each architecture."""
    build("aaa")
    publish("1.2.3", "aaa")
    for architecture in ("amd64", "arm64"):
        command = ["skopeo", f"--override-arch={architecture}", "inspect", "--tls-verify=false"]
        done = subprocess.run(
            [*command, f"docker://{users.name}:1.2.3"], capture_output=True, check=True
        )
        assert json.loads(done.stdout)["Architecture"] == architecture


def test_a_patch_leaves_the_others_alone(users: Repository, build: Build, publish: Publish) -> None:
    """1.2.4 moves the moving tags, and leaves 1.2.3 as it was."""
    first, second = build("aaa"), build("bbb")
    publish("1.2.3", "aaa")
    publish("1.2.4", "bbb")
    assert is_called(users, first["ubuntu"]) == {"1.2.3", "1.2.3-ubuntu"}
    assert is_called(users, second["ubuntu"]) >= {"1.2.4", "1.2", "1", "latest", "ubuntu"}


def test_an_older_minor_moves_itself_alone(
    users: Repository, build: Build, publish: Publish
) -> None:
    """After 1.3 a fix of 1.2 moves neither 1 nor latest."""
    for key, version in (("aaa", "1.2.3"), ("bbb", "1.3.0"), ("ccc", "1.2.4")):
        digests = build(key)
        publish(version, key)
    assert is_called(users, digests["ubuntu"]) == {"1.2.4", "1.2", "1.2.4-ubuntu", "1.2-ubuntu"}
    found = tags(users.name)
    assert found["latest"] == found["1.3.0"] == found["1"]


def test_a_second_push_is_refused(users: Repository, build: Build, publish: Publish) -> None:
    """A version is written once: another build under its name is refused, and changes nothing."""
    build("aaa")
    build("bbb")
    publish("1.2.3", "aaa")
    before = tags(users.name)
    where = ["--from", f"{users.name}-build:bbb", "--to", users.name, "--flavours", *FIRST]
    said = refuses("publish", "1.2.3", *where)
    assert said.startswith("immutable, and there already with other content: ")
    assert f"{users.name}:1.2.3," in said
    assert tags(users.name) == before


def test_a_run_that_was_cut_short_is_repeated(
    users: Repository, build: Build, publish: Publish
) -> None:
    """The same build again writes only what is missing."""
    digests = build("aaa")
    source = Repository(f"{users.name}-build")
    users.bring(source, digests["ubuntu"])
    users.tag(digests["ubuntu"], "1.2.3-ubuntu")
    publish("1.2.3", "aaa")
    complete = tags(users.name)
    publish("1.2.3", "aaa")
    assert tags(users.name) == complete
    assert {"1.2.3", "1.2.3-ubuntu", "latest"} <= is_called(users, digests["ubuntu"])


def test_what_is_built_again_gets_a_revision(
    users: Repository, build: Build, publish: Publish
) -> None:
    """A rebuild is -r2, the next one -r3; the moving tags follow, and the version stays."""
    first, second, third = (build(key, *TWO) for key in ("aaa", "bbb", "ccc"))
    publish("1.2.3", "aaa", "--flavours", *TWO)
    publish("1.2.3", "bbb", "--again", "--flavours", *TWO)
    assert is_called(users, second["ubuntu"]) >= {"1.2.3-r2", "1.2", "1", "latest", "ubuntu"}
    publish("1.2.3", "ccc", "--again", "--flavours", *TWO)
    assert is_called(users, first["ubuntu"]) == {"1.2.3", "1.2.3-ubuntu"}
    assert is_called(users, second["ubuntu"]) == {"1.2.3-r2", "1.2.3-r2-ubuntu"}
    assert is_called(users, third["fedora-slim"]) == {
        *("1.2.3-r3-fedora-slim", "1.2-fedora-slim", "1-fedora-slim", "fedora-slim"),
    }


def test_a_supported_older_minor_is_built_again(
    users: Repository, build: Build, publish: Publish
) -> None:
    """The rebuild of an older minor version moves neither latest nor 1."""
    for key, version in (("aaa", "1.2.3"), ("bbb", "1.3.0")):
        build(key)
        publish(version, key)
    newest = tags(users.name)["latest"]
    again = build("ccc")
    publish("1.2.3", "ccc", "--again")
    assert is_called(users, again["ubuntu"]) == {
        *("1.2.3-r2", "1.2.3-r2-ubuntu", "1.2", "1.2-ubuntu"),
    }
    found = tags(users.name)
    assert found["latest"] == found["1"] == newest


def test_a_repeated_release_does_not_undo_a_rebuild(
    users: Repository, build: Build, publish: Publish
) -> None:
    """If the release is run again weeks later, no tag moves back to the old build."""
    build("aaa")
    again = build("bbb")
    publish("1.2.3", "aaa")
    publish("1.2.3", "bbb", "--again")
    publish("1.2.3", "aaa")
    found = tags(users.name)
    assert found["latest"] == found["1.2"] == again["ubuntu"]


def test_only_what_is_released_is_built_again(users: Repository, build: Build) -> None:
    """There is no rebuild of a version that was never released."""
    build("aaa")
    where = ["--from", f"{users.name}-build:aaa", "--to", users.name, "--flavours", *FIRST]
    assert "has not been released" in refuses("publish", "1.2.3", *where, "--again")
    assert tags(users.name) == {}


def test_a_candidate_moves_nothing(users: Repository, build: Build, publish: Publish) -> None:
    """A release candidate gets its own tag only."""
    digests = build("aaa")
    publish("1.3.0-rc.1", "aaa")
    assert is_called(users, digests["ubuntu"]) == {"1.3.0-rc.1", "1.3.0-rc.1-ubuntu"}
    assert len(tags(users.name)) == 2


def test_a_build_that_is_not_complete(users: Repository, build: Build) -> None:
    """If one flavour was not built, none is published, and the error names it."""
    build("aaa", without="base-ubuntu")
    where = ["--from", f"{users.name}-build:aaa", "--to", users.name, "--flavours", *FIRST]
    said = refuses("publish", "1.2.3", *where)
    assert said == f"not built: {users.name}-build:aaa-base-ubuntu"
    assert tags(users.name) == {}


def test_signed_before_it_has_a_name(
    users: Repository, build: Build, publish: Publish, tmp_path: Path
) -> None:
    """Cosign signs the digest before any tag leads to it."""
    digests = build("aaa")
    calls = tmp_path / "calls"
    look = f'skopeo list-tags --tls-verify=false "docker://{users.name}" | grep -c 1.2.3'
    path = fake(tmp_path / "bin", "cosign", f'echo "$@" "$({look})" >>{calls}')
    publish("1.2.3", "aaa", "--sign", "acme/runners", env={"PATH": path})
    lines = [line.split() for line in calls.read_text().splitlines()]
    expected = {
        f"{users.name}{'-base' if name.startswith('base-') else ''}@{digest}"
        for name, digest in digests.items()
    }
    assert {words[-2] for words in lines if words[0] == "sign"} == expected
    assert {words[1] for words in lines if words[0] == "verify"} == expected
    assert {words[-1] for words in lines} == {"0"}


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("exit 1", "cosign did not sign"),
        ("test $1 = sign", "is signed by somebody else than ^https://github"),
    ],
)
def test_not_signed_not_named(
    users: Repository, build: Build, tmp_path: Path, program: str, reason: str
) -> None:
    """An image without a signature that users can verify gets no tag."""
    build("aaa")
    path = fake(tmp_path / "bin", "cosign", program)
    where = ["--from", f"{users.name}-build:aaa", "--to", users.name, "--flavours", *FIRST]
    said = refuses("publish", "1.2.3", *where, "--sign", "acme/runners", env={"PATH": path})
    assert reason in said
    assert tags(users.name) == {}


def test_a_registry_that_does_not_answer(build: Build, users: Repository) -> None:
    """A registry that cannot be read is an error, not one that lacks the version."""
    build("aaa")
    where = ["--from", f"{users.name}-build:aaa", "--to", "127.0.0.1:1/x", "--flavours", *FIRST]
    assert refuses("publish", "1.2.3", *where).startswith("cannot read docker://127.0.0.1:1/")
