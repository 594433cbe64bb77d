"""Each option, the variable of the same meaning, and its effect."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from krunpool.config import configure
from krunpool.errors import Problem
from krunpool.folder import Folder

from entrypoint.settings import sources
from tests.krun.conftest import ORCHESTRATOR, ROOT, TOKEN, Orchestrator, option, options


def life(
    orchestrator: Orchestrator, *words: str, env: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[str], dict[str, str]]:
    """Run one life; return the words of `podman run`, and the runner's settings."""
    orchestrator.live({"seconds": 0})
    assert orchestrator.start(runner=("-r", "1", *words), env=env).wait() == 0, orchestrator.log
    (run,) = orchestrator.calls("podman", "run")
    (seen,) = orchestrator.seen()
    return run, seen["settings"]


SETTINGS: dict[str, tuple[list[str], dict[str, str], dict[str, str]]] = {
    # option: words, variables of the same meaning, settings of the runner
    "-g": (["-g", "ghe.example"], {"RUNNER_GITHUB": "ghe.example"}, {"GITHUB_HOST": "ghe.example"}),
    "-G": (["-G", "builders"], {"RUNNER_GROUP": "builders"}, {"RUNNER_GROUP": "builders"}),
    "-G Default": (["-G", "Default"], {"RUNNER_GROUP": "Default"}, {"RUNNER_GROUP": ""}),
    "-L": (["-L", "gpu,big"], {"RUNNER_LABELS": "gpu,big"}, {"RUNNER_LABELS": "gpu,big"}),
    "no -L": ([], {}, {"RUNNER_LABELS": "krun,krunvm,ubuntu"}),
    "-u": (["-u", "ci"], {"RUNNER_USER": "ci"}, {"RUNNER_USER": "ci"}),
    "no -u": ([], {}, {"RUNNER_USER": "runner"}),
    "-U": (["-U"], {"RUNNER_UPDATE": "1"}, {"RUNNER_DISABLE_UPDATE": "0"}),
    "no -U": ([], {}, {"RUNNER_DISABLE_UPDATE": ""}),
    "-p": ([], {}, {"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": "shop"}),
    "-s org": (
        ["-s", "organization", "-p", "acme"],
        {"RUNNER_SCOPE": "org", "RUNNER_PRINCIPAL": "acme"},
        {"GITHUB_OWNER": "acme", "GITHUB_REPOSITORY": ""},
    ),
    "-s enterprise": (
        ["-s", "enterprise", "-p", "acme"],
        {"RUNNER_SCOPE": "ent", "RUNNER_PRINCIPAL": "acme"},
        {"GITHUB_ENTERPRISE": "acme", "GITHUB_OWNER": ""},
    ),
}


@pytest.mark.parametrize(("words", "env", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_settings_by_option(
    orchestrator: Orchestrator, words: list[str], env: dict[str, str], settings: dict[str, str]
) -> None:
    """An option reaches the runner as a setting of its own, and wins over the variable."""
    others = {name: "1" if value in "01" else "otherwise" for name, value in env.items()}
    others.pop("RUNNER_SCOPE", None)
    _, found = life(orchestrator, *words, env=others if words else {})
    assert {name: found.get(name, "") for name in settings} == settings


@pytest.mark.parametrize(("words", "env", "settings"), SETTINGS.values(), ids=SETTINGS)
def test_settings_by_variable(
    words: list[str], env: dict[str, str], settings: dict[str, str]
) -> None:
    """Without the option the variable has the same effect."""
    del words
    found = configure([], {"RUNNER_PRINCIPAL": "acme/shop", "RUNNER_PAT": TOKEN, **env}).settings
    if settings.keys() != {"RUNNER_LABELS"} or env:  # the image's labels are added at the start
        assert {name: found.get(name, "") for name in settings} == settings


PODMAN: dict[str, tuple[list[str], dict[str, str], str, str]] = {
    # option: words, variables of the same meaning, option of `podman run`, its value
    "-c": (["-c", "4"], {"RUNNER_CPUS": "4"}, "--cpus", "4"),
    "no -c": ([], {}, "--cpus", "2"),
    "-m": (["-m", "2048"], {"RUNNER_MEMORY": "2048"}, "--memory", "2048m"),
    "no -m": ([], {}, "--memory", "1024m"),
    "-d": (["-d", "9.9.9.9"], {"RUNNER_DNS": "9.9.9.9"}, "--dns", "9.9.9.9"),
    "no -d": ([], {}, "--dns", "1.1.1.1"),
}


@pytest.mark.parametrize("by_option", [True, False], ids=["option", "variable"])
@pytest.mark.parametrize(("words", "env", "name", "value"), PODMAN.values(), ids=PODMAN)
def test_resources(
    orchestrator: Orchestrator,
    words: list[str],
    env: dict[str, str],
    name: str,
    value: str,
    by_option: bool,
) -> None:
    """Processors, memory and name server become options of the engine."""
    run, _ = life(orchestrator, *words) if by_option else life(orchestrator, env=env)
    assert option(run, name) == value


def test_image(orchestrator: Orchestrator) -> None:
    """-i names the image, which is pulled before each start; no other image is run."""
    (orchestrator.fake / "registry").write_text("sha256:new")
    run, _ = life(orchestrator, "-i", "example.com/other:2")
    assert run[-1] == "example.com/other:2"
    assert option(run, "--pull") == "never"
    assert orchestrator.calls("podman", "pull") == [["pull", "--quiet", "example.com/other:2"]]


def test_local_image(orchestrator: Orchestrator) -> None:
    """An image that was built on this host is not pulled."""
    life(orchestrator, "-i", "localhost/mine")
    assert orchestrator.calls("podman", "pull") == []


@pytest.mark.parametrize("by_option", [True, False], ids=["option", "variable"])
def test_mounts(orchestrator: Orchestrator, tmp_path: Path, by_option: bool) -> None:
    """-M mounts a folder, and may be repeated; without options every loop may write to it."""
    lines = [f"{tmp_path}:/opt/hostedtoolcache", f"{tmp_path}:/cache:ro"]
    if by_option:
        run, _ = life(orchestrator, *(word for line in lines for word in ("-M", line)))
    else:
        run, _ = life(orchestrator, env={"RUNNER_MOUNT": "\n".join(lines)})
    assert f"{tmp_path}:/opt/hostedtoolcache:z,rw" in options(run, "--volume")
    assert f"{tmp_path}:/cache:ro" in options(run, "--volume")


def test_checkout(orchestrator: Orchestrator) -> None:
    """-D mounts the program of the checkout read-only, and runs it in place of the image's."""
    run, _ = life(orchestrator, "-D", "/checkout")
    assert f"{ROOT}:/checkout:ro,z" in options(run, "--volume")
    program = json.loads(option(run, "--entrypoint"))
    assert program[:2] == ["/usr/bin/env", "--block-signal"]
    code = program[-1].replace("/checkout", str(ROOT))
    shown = subprocess.run(
        [sys.executable, "-I", "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert "usage: gh-runner" in shown.stdout, shown.stderr


def test_other_settings_are_passed_on(orchestrator: Orchestrator) -> None:
    """Every setting of the runner reaches it; the orchestrator's own and others do not."""
    env = {
        "RUNNER_DRAIN_TIMEOUT": "60",
        "GITHUB_API_URL": "http://192.0.2.1/it's \\ odd",
        "HTTPS_PROXY": "http://proxy:3128",
        "RUNNER_ENVFILE": "/etc/mine",
        "RUNNER_STATE_DIR": "/mine",
        "RUNNER_NAME": "mine",
        "EDITOR": "vi",
    }
    _, settings = life(orchestrator, env=env)
    for name in ("RUNNER_DRAIN_TIMEOUT", "GITHUB_API_URL", "HTTPS_PROXY"):
        assert settings[name] == env[name]
    assert settings["RUNNER_NAME"].startswith("GH-runner-1-")
    assert not {"RUNNER_ENVFILE", "RUNNER_STATE_DIR", "EDITOR", "RUNNER_PAT"} & settings.keys()


def test_names(orchestrator: Orchestrator) -> None:
    """-p before the -- is the prefix of names; each microVM has a name of its own."""
    orchestrator.live({"seconds": 0})
    assert orchestrator.start("-p", "shop", "-n", "2", runner=("-r", "2")).wait() == 0
    names = [option(run, "--name") for run in orchestrator.calls("podman", "run")]
    assert len(set(names)) == 4
    assert {name.rsplit("-", 1)[0] for name in names} == {"shop-1", "shop-2"}


def test_log(orchestrator: Orchestrator, tmp_path: Path) -> None:
    """-l is the path of the log, and -v adds messages; without -v only problems are logged."""
    orchestrator.live({"seconds": 0})
    orchestrator.start("-l", str(tmp_path / "a"), runner=("-r", "1")).wait()
    assert "starting" in (tmp_path / "a").read_text()
    assert "starting" not in orchestrator.log
    command = [sys.executable, str(ORCHESTRATOR), "-R", "podman+runtime"]
    words = ["-d", str(orchestrator.shared), "-l", str(tmp_path / "b"), "--", "-r", "1"]
    rest = ["-T", f"@{orchestrator.token}", "-p", "acme/shop"]
    assert orchestrator.run([*command, *words, *rest]).wait() == 0
    assert (tmp_path / "b").read_text() == ""
    assert orchestrator.run([*command, "-vv", *words, *rest]).wait() == 0
    assert "running podman run" in (tmp_path / "b").read_text()


def test_help() -> None:
    """-h lists every option with its variable."""
    for words in (["-h"], ["--", "-h"], ["-n", "nonsense", "-h"]):
        done = subprocess.run([ORCHESTRATOR, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        for name in ("-n NUMBER", "ORCHESTRATOR_PREFIX", "-M HOSTDIR:VMDIR", "RUNNER_TERMINATE"):
            assert name in done.stdout


def test_the_token_is_in_no_command_line(orchestrator: Orchestrator) -> None:
    """With -T or RUNNER_PAT the token is in no argument and no environment of any program."""
    orchestrator.start(env={"RUNNER_PAT": "ghp_other"}).until_listening()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert TOKEN.encode() not in path.read_bytes()
        except OSError:
            continue
    assert TOKEN not in json.dumps(orchestrator.calls())
    for environment in orchestrator.environments():
        assert not {"RUNNER_PAT", "GITHUB_PERSONAL_TOKEN"} & environment.keys()
    assert orchestrator.seen()[0]["settings"]["GITHUB_PERSONAL_TOKEN"] == TOKEN
    assert orchestrator.signal().wait() == 143


def test_the_shared_folder_is_private(orchestrator: Orchestrator) -> None:
    """No other user can read the env file; once it was read, no file has the token."""
    orchestrator.live({"leaves_settings": True})
    orchestrator.start(runner=("-r", "1")).until_listening()
    (folder,) = orchestrator.folders()
    for path in (orchestrator.shared, folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert not path.is_file() or TOKEN not in path.read_text()
    assert "had left its env file" in orchestrator.log
    assert orchestrator.signal().wait() == 143
    assert list(orchestrator.shared.iterdir()) == []


@pytest.mark.parametrize("variable", ["GITHUB_PERSONAL_TOKEN", "RUNNER_TOKEN"])
@pytest.mark.parametrize("in_file", [True, False], ids=["file", "variable"])
def test_other_credentials(orchestrator: Orchestrator, variable: str, in_file: bool) -> None:
    """The runner's own variables also give the credential, or the file that contains it."""
    orchestrator.live({"seconds": 0})
    given = {f"{variable}_FILE": str(orchestrator.token)} if in_file else {variable: TOKEN}
    words = ["-R", "podman+runtime", "-d", str(orchestrator.shared), "--", "-r", "1"]
    command = [sys.executable, str(ORCHESTRATOR), *words, "-p", "acme/shop"]
    assert orchestrator.run(command, given).wait() == 0, orchestrator.log
    (seen,) = orchestrator.seen()
    assert seen["settings"][variable] == TOKEN


def test_a_token_that_is_renewed(orchestrator: Orchestrator) -> None:
    """Each microVM gets the token that the file contains at its start."""
    orchestrator.live({"seconds": 0.5}, {"seconds": 0})
    orchestrator.start(runner=("-r", "2"))
    orchestrator.until_listening()
    orchestrator.token.write_text("ghp_renewed")
    assert orchestrator.wait() == 0
    tokens = [seen["settings"]["GITHUB_PERSONAL_TOKEN"] for seen in orchestrator.seen()]
    assert tokens == [TOKEN, "ghp_renewed"]


def test_secret(orchestrator: Orchestrator, tmp_path: Path) -> None:
    """The stop secret is a new one each time, unless -S or RUNNER_SECRET sets it."""
    orchestrator.live({"seconds": 0})
    assert orchestrator.start(runner=("-r", "2")).wait() == 0
    drawn = {seen["settings"]["RUNNER_STOP_SECRET"] for seen in orchestrator.seen()}
    assert len(drawn) == 2
    assert min(map(len, drawn)) >= 32
    (tmp_path / "secret").write_text("correct-horse\n")
    assert orchestrator.start(runner=("-r", "1", "-S", f"@{tmp_path}/secret")).wait() == 0
    assert (
        orchestrator.start(runner=("-r", "1"), env={"RUNNER_SECRET": "battery-staple"}).wait() == 0
    )
    given = [seen["settings"]["RUNNER_STOP_SECRET"] for seen in orchestrator.seen()[2:]]
    assert given == ["correct-horse", "battery-staple"]


WRONG: dict[str, tuple[list[str], list[str], str]] = {
    # option: words before the --, words after it, the message
    "-n": (["-n", "0"], [], "-n: 0 is not 1 or more"),
    "-n text": (["-n", "two"], [], "-n: 'two' is no whole number"),
    "-p": (["-p", "a b"], [], "-p: 'a b' must be"),
    "-p option": (["-p", "--rm"], [], "-p: '--rm' must be"),
    "-R": (["-R", "docker"], [], "-R: 'docker' is not podman+krun"),
    "-R empty": (["-R", "podman+"], [], "-R: 'podman+' is not podman+krun"),
    "-s": (["-s", "soon"], [], "-s: 'soon' is no number of seconds"),
    "unknown": (["-x"], [], "option -x not recognized"),
    "no value": ([], ["-c"], "option -c requires argument"),
    "a word": ([], ["run"], "'run' is no option"),
    "-c": ([], ["-c", "17"], "-c: 17 is not 1 to 16"),
    "-c part": ([], ["-c", "0.5"], "-c: '0.5' is no whole number"),
    "-m": ([], ["-m", "64"], "-m: 64 is not 128 or more"),
    "-r": ([], ["-r", "0"], "-r: 0 would start nothing"),
    "-k": ([], ["-k", "-5"], "-k: '-5' is no number of seconds"),
    "-M": ([], ["-M", "/tmp"], "-M: '/tmp' is not HOSTDIR:VMDIR[:OPTIONS]"),
    "-M missing": ([], ["-M", "/nowhere:/x"], "-M: /nowhere does not exist"),
    "-M taken": ([], ["-M", "/tmp:/gh-runner/"], "/gh-runner/ is taken"),
    "-s scope": ([], ["-s", "team"], "-s: 'team' is not repo, org or enterprise"),
    "-p repo": ([], ["-p", "acme"], "-p: 'acme' is not OWNER/REPOSITORY"),
    "-p org": ([], ["-s", "org"], "-p: 'acme/shop' has a '/', but -s says org"),
    "-T": ([], ["-T", "ghp_hunter2"], "-T: a secret in the command line can be seen"),
    "-T missing": ([], ["-T", "@/nowhere"], "-T: /nowhere: No such file or directory"),
    "-T folder": ([], ["-T", "@/tmp"], "-T: /tmp: Is a directory"),
    "-T empty": ([], ["-T", "@/dev/null"], "-T: /dev/null: is empty"),
    "-S": ([], ["-S", "hunter2hunter2"], "-S: a secret in the command line can be seen"),
    "-D": ([], ["-D", "here"], "-D: 'here' is no absolute path"),
}


@pytest.mark.parametrize(("ours", "theirs", "said"), WRONG.values(), ids=WRONG)
def test_wrong_options(token: Path, ours: list[str], theirs: list[str], said: str) -> None:
    """The message about a wrong option names its letter."""
    usual = ["-T", f"@{token}", "-p", "acme/shop"]
    with pytest.raises(Problem) as problem:
        configure([*ours, "--", *usual, *theirs], {})
    assert said in str(problem.value)
    assert "hunter2" not in str(problem.value)


def test_all_problems_at_once(orchestrator: Orchestrator) -> None:
    """All problems are listed at once, with exit code 78, and nothing is started."""
    words = ("-c", "0", "-m", "1", "-M", "x", "-k", "x")
    assert orchestrator.start("-n", "0", "-s", "x", runner=words).wait() == 78
    for letter in "ncmMks":
        assert f"-{letter}: " in orchestrator.log
    assert "Traceback" not in orchestrator.log
    assert orchestrator.calls() == []


BAD_VARIABLES: dict[str, tuple[dict[str, str], str]] = {
    "flag": ({"RUNNER_UPDATE": "maybe"}, "RUNNER_UPDATE: 'maybe' is neither 0 nor 1"),
    "number": ({"ORCHESTRATOR_RUNNERS": "x"}, "ORCHESTRATOR_RUNNERS: 'x' is no whole number"),
    "target": ({"GITHUB_OWNER": "evil"}, "-p and GITHUB_OWNER both say whom the runner serves"),
    "secret": ({"RUNNER_SECRET": "short"}, "RUNNER_SECRET: must have 8 characters or more"),
}


@pytest.mark.parametrize(("env", "said"), BAD_VARIABLES.values(), ids=BAD_VARIABLES)
def test_wrong_variables(token: Path, env: dict[str, str], said: str) -> None:
    """The message about a wrong variable has its name."""
    with pytest.raises(Problem) as problem:
        configure(["--", "-T", f"@{token}", "-p", "acme/shop"], env)
    assert said in str(problem.value)
    assert "short" not in str(problem.value)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "no credential: give -T @FILE"),
        ({"RUNNER_PAT": "a", "RUNNER_TOKEN": "b"}, "more than one credential is set"),
        ({"GITHUB_PERSONAL_TOKEN_FILE": "/nowhere"}, "GITHUB_PERSONAL_TOKEN_FILE: /nowhere: No"),
    ],
)
def test_credential_is_needed(env: dict[str, str], said: str) -> None:
    """No credential, and two of them, are refused."""
    with pytest.raises(Problem) as problem:
        configure(["--", "-p", "a/b"], env)
    assert said in str(problem.value)


def test_log_that_cannot_be_written(orchestrator: Orchestrator) -> None:
    """A log in a folder that does not exist is refused."""
    assert orchestrator.start("-l", "/nowhere/log").wait() == 78
    assert "-l: /nowhere/log cannot be written" in orchestrator.log


def folder_of_others(path: Path) -> None:
    """Make a folder that all users can write to."""
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (folder_of_others, "others can write to it"),
        (lambda path: path.write_text(""), "File exists"),
        (lambda path: path.symlink_to("/proc/nowhere"), "File exists"),
    ],
)
def test_folder_that_cannot_be_used(
    orchestrator: Orchestrator, make: Callable[[Path], Any], said: str
) -> None:
    """-d must be a folder of this user's alone, because secrets will be in it."""
    make(orchestrator.shared)
    assert orchestrator.start().wait() == 78
    assert f"-d: {orchestrator.shared}: {said}" in orchestrator.log
    assert orchestrator.calls("podman", "run") == []


def test_python_is_all_that_it_needs() -> None:
    """The program needs the standard library only."""
    clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(ORCHESTRATOR), "-h"],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "value", ["a b", "it's", "back\\slash", "$HOME", "# no", "two\nlines", '"']
)
def test_any_value_arrives(tmp_path: Path, value: str) -> None:
    """The runner reads each value from the env file as it was given."""
    folder = Folder(tmp_path / "x")
    folder.make({"A": value, "B": "after"}, "secret")
    found = sources.read_env_file(f"{folder.shared}/runner.env", {})
    assert found == {"A": value, "B": "after"}
