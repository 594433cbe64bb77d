"""The sources of values: none is lost, and none is left for a job to read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from entrypoint.errors import ExitCode, Failure
from entrypoint.lifecycle.prepare_child import load
from entrypoint.settings import parsers
from entrypoint.settings.given import Given
from entrypoint.settings.sources import gather_secrets, read, read_env_file
from entrypoint.vault import Vault
from simulator import Simulator
from tests.support.life import ISOLATED, TOKEN, Life
from tests.support.secrets import app_key

VARIABLE = "GITHUB_PERSONAL_TOKEN"

# A mount namespace in which a file is a mount of its own, as with `docker run -v FILE:FILE`. Such
# a file cannot be deleted (EBUSY).
MOUNTED = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && exec "$@"']


def env_file(directory: Path, content: str | bytes = "", mode: int = 0o600) -> Path:
    """Write an env file with this content."""
    path = directory / "runner.env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def refused(path: Path) -> str:
    """Return the message and the hint by which an env file is refused."""
    with pytest.raises(Failure) as caught:
        read_env_file(str(path), {})
    assert caught.value.code is ExitCode.CONFIG
    return f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b  ", "b"),
        ("A='b c'", "b c"),
        ('A="b c"', "b c"),
        ('A="b # c"', "b # c"),
        ("A=b # why", "b"),
        ("# A=x\nA=b", "b"),
        ("A=x\nA=b", "b"),
        ("A=", ""),
        ("A=$b", "$b"),
        ('A="b\nc"', "b\nc"),
        ("\ufeffA=b\r\n", "b"),
        ("A=b=c", "b=c"),
    ],
)
def test_env_file_is_read_as_a_shell_would(tmp_path: Path, line: str, value: str) -> None:
    """Export, quotes, comments, repetitions and line ends of Windows are understood."""
    assert read_env_file(str(env_file(tmp_path, f"{line}\n")), {}) == {"A": value}


@pytest.mark.parametrize("line", ["ghp_token_alone", "A B=c", "=x", 'A="b', "{}"])
def test_env_file_with_a_line_that_makes_no_sense(tmp_path: Path, line: str) -> None:
    """The message names file and line, and does not repeat what may be secret."""
    message = refused(path := env_file(tmp_path, f"X=y\n{line}\n"))
    assert f"line 2 of {path}" in message
    assert line not in message


def test_every_wrong_line_is_told(tmp_path: Path) -> None:
    """One message has all wrong lines."""
    path = env_file(tmp_path, "a\nB=c\nd\n")
    assert all(f"line {number} of" in refused(path) for number in (1, 3))


@pytest.mark.parametrize(
    ("kind", "words", "hint"),
    [
        ("missing", "cannot be read: No such file or directory", "mount the file"),
        ("directory", "is a directory", "Docker makes a directory"),
        ("pipe", "is not a regular file", "plain file"),
        ("binary", "is not UTF-8 text", "save it as UTF-8"),
        ("UTF-16", "is not UTF-8 text", "save it as UTF-8"),
        ("huge", "is larger than", "no more"),
    ],
)
def test_env_file_that_is_none(tmp_path: Path, kind: str, words: str, hint: str) -> None:
    """A file that cannot be read as an env file is refused at once, with the remedy."""
    path = tmp_path / "runner.env"
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "binary":
            path.write_bytes(b"A=\xff")
        case "UTF-16":
            path.write_bytes("A=b".encode("utf-16-le"))
        case "huge":
            path.write_bytes(b"#" * 70_000)
    message = refused(path)
    assert f"RUNNER_ENVFILE: {path} {words}" in message
    assert hint in message


@pytest.mark.parametrize(
    ("raw", "noted"),
    [
        (TOKEN, False),
        (f"{TOKEN}\n", True),
        (f" {TOKEN}\r\n", True),
        (f'"{TOKEN}"', True),
        (f"' {TOKEN} '", True),
    ],
)
def test_token_is_trimmed(raw: str, noted: bool) -> None:
    """White space and quotes around a token are removed, and the log says so."""
    secrets, notes, problems = gather_secrets(Given.divide({VARIABLE: raw}), {})
    assert secrets == {VARIABLE: TOKEN}
    assert problems == []
    assert bool(notes) is noted
    assert all(note.startswith(f"{VARIABLE}: ") for note in notes)


@pytest.mark.parametrize("raw", ["ghp_a\nghp_b", "ghp a", "ghp_\x00"])
def test_token_that_cannot_be_one(raw: str) -> None:
    """Two lines, or a space in the middle, are refused."""
    secrets, _, [problem] = gather_secrets(Given.divide({VARIABLE: raw}), {})
    assert secrets == {}
    assert problem.startswith(f"{VARIABLE}: holds more than one line")
    assert raw not in problem


KEY = app_key()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (VARIABLE, "x", "has fewer than 8 characters"),
        (VARIABLE, "ghp_put_your_token_here", "is still the placeholder"),
        (VARIABLE, KEY, "is a key; an App's goes into GITHUB_APP_PRIVATE_KEY"),
        (VARIABLE, "A" + "B2" * 14, "has the form of a registration token, which is RUNNER_TOKEN"),
        ("RUNNER_TOKEN", f"ghp_{'a' * 36}", "which is GITHUB_PERSONAL_TOKEN"),
        ("GITHUB_APP_PRIVATE_KEY", f"ghp_{'a' * 36}", "is neither a PEM private key nor"),
        ("GITHUB_APP_PRIVATE_KEY", "12345", "is neither a PEM private key nor one"),
    ],
)
def test_a_secret_of_another_kind(variable: str, value: str, words: str) -> None:
    """A secret in the variable of another kind is refused, with the right variable."""
    secrets, _, [problem] = gather_secrets(Given.divide({variable: value}), {})
    assert secrets == {}
    assert problem.startswith(f"{variable}: ")
    assert words in problem
    assert value not in problem


@pytest.mark.parametrize("gap", [" ", "", "\r"])
def test_a_key_without_its_line_breaks(gap: str) -> None:
    """Lost line breaks of a key are put back, with a note."""
    given = Given.divide({"GITHUB_APP_PRIVATE_KEY": KEY.strip().replace("\n", gap)})
    secrets, [note], problems = gather_secrets(given, {})
    assert problems == []
    assert "line breaks were spaces or missing" in note
    assert parsers.private_key(secrets["GITHUB_APP_PRIVATE_KEY"]) == KEY


@pytest.mark.parametrize("value", [KEY, "0123456789abcdef" * 2 + "01234567", "token.txt"])
def test_a_secret_where_its_file_belongs(value: str) -> None:
    """A secret in place of its file's path is refused, and not shown."""
    _, _, [problem] = gather_secrets(Given.divide({f"{VARIABLE}_FILE": value}), {})
    assert problem == (
        f"{VARIABLE}_FILE: takes the path of a file; the secret itself goes into {VARIABLE}"
    )


def test_lines_of_a_systemd_unit(tmp_path: Path) -> None:
    """`Environment=` lines are refused: they would set a variable of that name."""
    message = refused(path := env_file(tmp_path, "Environment=A=b\nEnvironment='C=d'\n"))
    assert message.count("is one of a systemd unit") == 2
    assert f"line 1 of {path}" in message


NOTED = [
    ({"RUNNER_NAME": "${HOSTNAME}"}, "RUNNER_NAME: '${HOSTNAME}' is taken as it is written"),
    ({"RUNNER_NAME": "$(hostname)"}, "RUNNER_NAME: '$(hostname)' is taken as it is written"),
    ({"RUNNER_NAME": "{{.Node.ID}}"}, "RUNNER_NAME: '{{.Node.ID}}' is taken as it is written"),
    ({"RUNNER_WORKDIR": "~/work"}, "RUNNER_WORKDIR: '~/work' is taken as it is written"),
    ({"GH_REPO": "acme/shop"}, "GH_REPO: is not known, did you mean GITHUB_REPOSITORY?"),
    ({"runner_labels": "gpu"}, "runner_labels: is not known, did you mean RUNNER_LABELS?"),
    ({"RUNNER_LABELS": "gpu;big"}, "RUNNER_LABELS: 'gpu;big' is one label"),
    ({"RUNNER_LABELS": "[gpu]"}, "RUNNER_LABELS: '[gpu]' is one label"),
    ({"RUNNER_LABELS": "gpu big"}, "RUNNER_LABELS: 'gpu big' is one label"),
    ({"RUNNER_LABELS": '"gpu","cuda"'}, "RUNNER_LABELS: spaces, quotes, empty and repeated"),
    ({"RUNNER_LABELS": "gpu#big"}, "RUNNER_LABELS: 'gpu#big' is one label"),
    ({"GITHUB_OWNER": "", "GITHUB_REPOSITORY": "a/b"}, "GITHUB_REPOSITORY: what stands before"),
    ({"GITHUB_API_URL": "http://ghe", "GITHUB_ALLOW_HTTP": "1"}, "GITHUB_ALLOW_HTTP: the cred"),
    ({"CI_TOKEN": f"Bearer {TOKEN}"}, f"CI_TOKEN: holds the same as {VARIABLE}"),
]


@pytest.mark.parametrize(("env", "note"), NOTED)
def test_what_may_be_meant_otherwise(env: dict[str, str], note: str) -> None:
    """A note says how a value was understood that may mean something else."""
    notes = read(Given.divide({"GITHUB_OWNER": "acme", VARIABLE: TOKEN, **env})).notes
    assert [one for one in notes if one.startswith(note)], notes


def test_the_token_of_jobs_is_no_credential() -> None:
    """GITHUB_TOKEN is left to jobs; if no credential is given, the message asks about it."""
    question = "GITHUB_TOKEN: is not known, did you mean GITHUB_PERSONAL_TOKEN?"
    with pytest.raises(Failure) as caught:
        read(Given.divide({"GITHUB_OWNER": "acme", "GITHUB_TOKEN": f"{TOKEN}s"}))
    assert question in caught.value.message
    values = read(
        Given.divide({"GITHUB_OWNER": "acme", VARIABLE: TOKEN, "GITHUB_TOKEN": "ghs_another"})
    )
    assert values.others == {"GITHUB_TOKEN": "ghs_another"}
    assert question not in values.notes


@pytest.mark.parametrize(
    ("content", "noted"),
    [(TOKEN, False), (f"{TOKEN}\n", False), (f"{TOKEN}\r\n", False), (f"'{TOKEN}'\n", True)],
)
def test_token_in_a_file(tmp_path: Path, content: str, noted: bool) -> None:
    """A file may end with a line break; any other white space gets a note."""
    path = env_file(tmp_path, content)
    secrets, notes, problems = gather_secrets(Given.divide({f"{VARIABLE}_FILE": str(path)}), {})
    assert (secrets, problems) == ({VARIABLE: TOKEN}, [])
    assert bool(notes) is noted


def test_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The error has the variable and the path."""
    path = tmp_path / "none"
    _, _, [problem] = gather_secrets(Given.divide({f"{VARIABLE}_FILE": str(path)}), {})
    assert problem == f"{VARIABLE}_FILE: {path} cannot be read: No such file or directory"


def test_token_file_that_is_empty(tmp_path: Path) -> None:
    """An empty file is no credential."""
    path = env_file(tmp_path, "\n")
    _, _, [problem] = gather_secrets(Given.divide({f"{VARIABLE}_FILE": str(path)}), {})
    assert problem == f"{VARIABLE}_FILE: {path} is empty"


def test_token_given_twice(tmp_path: Path) -> None:
    """A token in a variable and in a file is refused, since either may be meant."""
    given = {VARIABLE: TOKEN, f"{VARIABLE}_FILE": str(env_file(tmp_path, TOKEN))}
    _, _, [problem] = gather_secrets(Given.divide(given), {})
    assert f"given together with {VARIABLE}" in problem


def test_problems_of_secrets_are_told_with_the_others() -> None:
    """One message has the problems of secrets and of settings."""
    given = {VARIABLE: "a b", "GITHUB_OWNER": "a/b", "RUNNER_GROUP": "\x01"}
    with pytest.raises(Failure) as caught:
        load(*Given.divide(given), Vault())
    message = caught.value.message
    assert all(f"{name}: " in message for name in (VARIABLE, "GITHUB_OWNER", "RUNNER_GROUP"))
    assert message.count("the settings are wrong") == 1


def test_env_file_configures_a_whole_life(life: Life, simulator: Simulator) -> None:
    """The env file wins over the environment, and is gone before the job."""
    path = env_file(
        life.directory,
        f"# mine\nexport {VARIABLE}='{TOKEN}'\nGITHUB_REPOSITORY=\"web\" # not shop\n",
    )
    job = simulator.queue_job(f"[ ! -e {path} ]")
    life.start(RUNNER_ENVFILE=str(path), GITHUB_PERSONAL_TOKEN="")
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert not path.exists()
    assert simulator.requests()[0]["path"].startswith("/repos/acme/web/")


@pytest.mark.parametrize(
    ("content", "env"),
    [
        ("nonsense\n", {}),
        ("RUNNER_LABELS=a\x01b\n", {}),
        ("GITHUB_OWNER=a/b\n", {}),
        ("RUNNER_USER=nobody-at-all\n", {}),
        ("RUNNER_HOME=/nowhere\n", {}),
        ("RUNNER_WORKDIR=/proc/work\n", {}),
        ("A=b\n", {VARIABLE: ""}),
    ],
)
def test_a_mistake_costs_nothing_of_the_env_file(
    life: Life, simulator: Simulator, content: str, env: dict[str, Any]
) -> None:
    """After any mistake the file is unchanged, and nothing has started."""
    path = env_file(life.directory, content)
    life.start(RUNNER_ENVFILE=str(path), **env)
    assert life.wait() == 78, life.output
    assert path.read_text() == content
    assert simulator.requests() == []


def test_env_file_that_jobs_could_read_must_be_deletable(life: Life, simulator: Simulator) -> None:
    """A readable mount that cannot be unmounted either is refused, with the two ways out."""
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    path = env_file(life.directory, f"{VARIABLE}={TOKEN}\n", mode=0o644)
    life.start(
        RUNNER_ENVFILE=str(path),
        GITHUB_PERSONAL_TOKEN="",
        namespace=[*MOUNTED, str(path), *ISOLATED, *without],
    )
    assert life.wait() == 78, life.output
    assert f"RUNNER_ENVFILE: {path} cannot be deleted" in life.error()
    assert "mount the directory" in life.error()
    assert "chmod 600" in life.error()
    assert path.read_text() == f"{VARIABLE}={TOKEN}\n"
    assert simulator.requests() == []


def test_env_file_that_only_root_can_read_may_stay(life: Life, simulator: Simulator) -> None:
    """With mode 600 the same file may stay, because the job cannot read it."""
    path = env_file(life.directory, f"{VARIABLE}={TOKEN}\n")
    job = simulator.queue_job(f"! cat {path}")
    life.start(
        RUNNER_ENVFILE=str(path),
        GITHUB_PERSONAL_TOKEN="",
        namespace=[*MOUNTED, str(path), *ISOLATED],
    )
    assert life.wait() == 0, life.output
    assert simulator.job(job["id"])["result"] == "succeeded"
    assert path.exists()


def test_read_only_directory_is_told_apart(life: Life, simulator: Simulator) -> None:
    """An env file in a read-only mount, such as a config map, is refused alike."""
    folder = life.directory / "mount"
    folder.mkdir()
    path = env_file(folder, f"{VARIABLE}={TOKEN}\n", mode=0o644)
    read_only = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    namespace = ["unshare", "--mount", "sh", "-c", read_only, str(folder), *ISOLATED]
    life.start(RUNNER_ENVFILE=str(path), GITHUB_PERSONAL_TOKEN="", namespace=namespace)
    assert life.wait() == 78, life.output
    assert "cannot be deleted (Read-only file system)" in life.error()
    assert simulator.requests() == []


def test_pipe_as_env_file_does_not_hang(life: Life) -> None:
    """A named pipe that nothing is written to ends the start at once."""
    path = life.directory / "pipe"
    subprocess.run(["mkfifo", path], check=True)
    assert life.start(RUNNER_ENVFILE=str(path)).wait() == 78
    assert f"{path} is not a regular file" in life.error()


@pytest.mark.parametrize(
    ("env", "note"),
    [
        ({"RUNNER_NAME": "n" * 100}, "RUNNER_NAME: was cut"),
        ({"RUNNER_LABELS": " a , b c ,,d"}, "RUNNER_LABELS: spaces, quotes, empty and repeated"),
        ({VARIABLE: f"{TOKEN}\n"}, f"{VARIABLE}: white space or quotes"),
        ({VARIABLE: f'"{TOKEN}"'}, f"{VARIABLE}: white space or quotes"),
    ],
)
def test_what_is_put_right_is_told(
    life: Life, simulator: Simulator, env: dict[str, Any], note: str
) -> None:
    """The life goes on, and a warning says what was corrected."""
    simulator.queue_job()
    assert life.start(**env).wait() == 0, life.output
    warnings = [line["event"] for line in life.log if line["level"] == "warning"]
    assert any(warning.startswith(note) for warning in warnings), life.output
    assert TOKEN not in life.output


def test_long_name_keeps_its_suffix(life: Life, simulator: Simulator) -> None:
    """A name of 100 characters becomes one of 64 that is still unique."""
    life.start(RUNNER_NAME="n" * 100, RUNNER_LABELS=" a , b c ,,d")
    simulator.wait_for("session_opened")
    [runner] = simulator.runners()
    assert len(runner["name"]) == 64
    assert runner["name"].startswith("nnn")
    assert runner["name"][-9] == "-"
    assert {"a", "b c", "d"} < {label["name"] for label in runner["labels"]}


def test_other_variables_of_the_env_file_reach_the_job(life: Life, simulator: Simulator) -> None:
    """Other variables of the env file are passed on to the job."""
    file = life.directory / "private" / "env"
    file.parent.mkdir()
    file.write_text(
        f"JAVA_HOME=/opt/java\nGITHUB_PERSONAL_TOKEN={life.env['GITHUB_PERSONAL_TOKEN']}\n"
    )
    simulator.queue_job("echo java: $JAVA_HOME; env")
    life.start(RUNNER_ENVFILE=str(file), GITHUB_PERSONAL_TOKEN="")
    assert life.wait() == 0
    log = simulator.jobs()[0]["log"]
    assert "java: /opt/java" in log
    assert life.env["GITHUB_PERSONAL_TOKEN"] not in log


def test_quotes_of_a_container_env_file_are_told(life: Life, simulator: Simulator) -> None:
    """A warning names labels with quotes, which match no job: Docker keeps quotes in values."""
    path = env_file(life.directory, f"{VARIABLE}={TOKEN}\n")
    simulator.queue_job(labels=["gpu"])
    life.start(GITHUB_PERSONAL_TOKEN="", RUNNER_LABELS='"gpu"', RUNNER_ENVFILE=f"'{path}'")
    assert life.wait() == 0, life.output
    assert "RUNNER_LABELS: the quotes around it were cut" in life.output


def test_state_directory_that_the_health_check_cannot_know(tmp_path: Path) -> None:
    """A warning says that `gh-runner status` cannot see a setting in the env file."""
    given = {"GITHUB_OWNER": "acme", VARIABLE: TOKEN}
    path = env_file(tmp_path, "RUNNER_STATE_DIR=/run/mine\n")
    notes = read(Given.divide({**given, "RUNNER_ENVFILE": str(path)})).notes
    assert [note.partition(":")[0] for note in notes] == ["RUNNER_STATE_DIR"]
    both = {**given, "RUNNER_ENVFILE": str(path), "RUNNER_STATE_DIR": "/run/mine"}
    assert read(Given.divide(both)).notes == []


@pytest.mark.parametrize("command", ["run", "check"])
def test_path_that_was_not_expanded_is_told(life: Life, simulator: Simulator, command: str) -> None:
    """PATH=/opt/tools:$PATH in an env file is refused before GitHub is asked."""
    path = env_file(life.directory, "PATH=/opt/tools:$PATH\n")
    life.start(command, RUNNER_ENVFILE=str(path))
    assert life.wait() == 78, life.output
    assert "PATH: no setpriv is found by '/opt/tools:$PATH'" in life.output
    assert path.exists()
    assert simulator.runners() == []
