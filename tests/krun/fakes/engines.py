"""Stand-ins for podman, krun, krunvm and buildah: they write down what they are told.

As strict as the real ones where the orchestrator could be wrong: an option that is not known, an
image that is not there, a name that is taken are refused.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

FAKE = Path(os.environ["FAKE_DIR"])
RUNNING = FAKE / "running"
ENVIRONMENT = ["PATH=/usr/bin:/bin", "ImageOS=ubuntu24", "RUNNER_VERSION=2.336.0"]
ENTRYPOINT = ["/usr/bin/env", "--block-signal", "/opt/gh-runner/bin/python", "-I", "-m", "x"]
RUN_OPTIONS = {
    "--name": 1,
    "--cidfile": 1,
    "--runtime": 1,
    "--pull": 1,
    "--stop-timeout": 1,
    "--volume": 1,
    "--env": 1,
    "--dns": 1,
    "--cpus": 1,
    "--memory": 1,
    "--annotation": 1,
    "--entrypoint": 1,
    "--rm": 0,
    "--no-healthcheck": 0,
    "--sig-proxy=false": 0,
}


def refuse(words: str, code: int = 125) -> int:
    """Say what is wrong, as a command does."""
    os.write(2, f"Error: {words}\n".encode())
    return code


def say(words: str) -> int:
    """Say a result."""
    os.write(1, f"{words}\n".encode())
    return 0


def parse(words: list[str], known: dict[str, int]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options, and the words from the first one that is none."""
    given: dict[str, list[str]] = {}
    while words and words[0].startswith("-") and words[0] != "--":
        option = words.pop(0)
        if option not in known:
            sys.exit(refuse(f"unknown option {option}"))
        given.setdefault(option, []).append(words.pop(0) if known[option] else "")
    return given, words


def image() -> str:
    """Return the id of the image that is here; empty if none is."""
    path = FAKE / "image"
    return path.read_text().strip() if path.exists() else ""


def pull(words: list[str]) -> int:
    """Bring the image that the registry has, if there is a registry."""
    registry = FAKE / "registry"
    if not registry.exists():
        return refuse(f"{words[-1]}: pinging container registry: connection refused")
    (FAKE / "image").write_text(registry.read_text())
    return 0


def start(name: str, shared: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Start a microVM in a session of its own, as an engine's monitor does."""
    program = Path(__file__).with_name("microvm.py")
    process = subprocess.Popen(
        [sys.executable, program, shared, *arguments], start_new_session=True, close_fds=False
    )
    (RUNNING / name).write_text(str(process.pid))
    return process


def pid_of(name: str) -> int:
    """Return the pid of a microVM that lives; 0 if there is none."""
    try:
        pid = int((RUNNING / name).read_text())
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z":
            return 0
    except (OSError, ValueError):
        return 0
    return pid


def podman(words: list[str]) -> int:
    """Be podman."""
    command, *rest = words
    commands: dict[str, Callable[[list[str]], int]] = {
        "image": podman_image,
        "pull": pull,
        "run": podman_run,
        "container": podman_container,
        "rm": lambda words: end(words[-1], signal.SIGKILL),
        "stop": lambda words: end(words[-1], signal.SIGTERM),
    }
    return commands[command](rest)


def podman_container(words: list[str]) -> int:
    """Be `podman container inspect`."""
    return say("true" if pid_of(words[-1]) else "false")


def podman_image(words: list[str]) -> int:
    """Be `podman image inspect`."""
    if not image():
        return refuse(f"{words[-1]}: image not known")
    return say(json.dumps([{"Id": image(), "Config": {"Env": ENVIRONMENT}}]))


def end(name: str, signum: int) -> int:
    """End a microVM with a signal, and return when it is gone."""
    if pid := pid_of(name):
        os.kill(pid, signum)
        while pid_of(name):
            time.sleep(0.01)
    return 0


def podman_run(words: list[str]) -> int:
    """Be `podman run`: the container has the shared folder, and its end is ours."""
    options, rest = parse(words, RUN_OPTIONS)
    if not image():
        return refuse("image not known")
    (number,) = options["--name"]
    Path(options["--cidfile"][0]).write_text(number)
    [shared] = [v.split(":")[0] for v in options["--volume"] if v.split(":")[1] == "/gh-runner"]
    return start(number, shared, rest[1:]).wait()


def krunvm(words: list[str]) -> int:
    """Be krunvm: `create` remembers what `start` needs; `start` is the microVM itself."""
    command = words.pop(0)
    if command == "create":
        rest, options = (
            words[:1],
            parse(words[1:], dict.fromkeys(("--name", "--cpus", "--mem", "--dns", "--volume"), 1))[
                0
            ],
        )
        name = options["--name"][0]
        if (FAKE / f"vm-{name}").exists() or not image():
            return say("A VM with this name already exists") or 255
        (FAKE / f"vm-{name}").write_text(json.dumps([rest, options]))
        return 0
    if command == "start":
        _, rest = parse(words, {"--env": 1})
        _, options = json.loads((FAKE / f"vm-{rest[0]}").read_text())
        [shared] = [v.split(":")[0] for v in options["--volume"] if v.endswith(":/gh-runner")]
        arguments = rest[rest.index("--") + 1 :][len(ENTRYPOINT) - 1 :]
        (RUNNING / rest[0]).write_text(str(os.getpid()))
        program = str(Path(__file__).with_name("microvm.py"))
        os.execv(sys.executable, [sys.executable, program, shared, *arguments])
    if command == "delete":
        (FAKE / f"vm-{words[0]}").unlink(missing_ok=True)
        return 0
    return refuse(f"unknown command {command}")


def buildah(words: list[str]) -> int:
    """Be buildah."""
    command = words.pop(0)
    if command == "unshare":
        os.execvp(words[0], words)
    if command == "pull":
        return pull(words)
    if command == "inspect":
        if not image():
            return refuse("locating image: image not known")
        config = {"Env": ENVIRONMENT, "Entrypoint": ENTRYPOINT}
        return say(json.dumps({"FromImageID": image(), "OCIv1": {"config": config}}))
    return refuse(f"unknown command {command}")


def krun(words: list[str]) -> int:
    """Be crun under the name krun, with or without libkrun."""
    features = "+SYSTEMD +CAP +LIBKRUN" if (FAKE / "libkrun").exists() else "+SYSTEMD +CAP"
    say(f"crun version 1.20\n{features}")
    return 0 if words == ["--version"] else 1


def main(program: str, words: list[str]) -> int:
    """Write the command down, and do what that program does."""
    with (FAKE / "calls").open("a") as file:
        call = {"program": program, "words": words, "environment": dict(os.environ)}
        file.write(json.dumps(call) + "\n")
    programs = {"podman": podman, "krunvm": krunvm, "buildah": buildah, "krun": krun}
    return programs.get(program, krun)(list(words))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).name, sys.argv[2:]))
