"""Stand-ins for podman, krun, krunvm and buildah, which record their arguments.

They refuse what the real ones refuse and an orchestrator could get wrong: unknown options, an image
that is not there, a name that is taken.
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
    """Print an error, as a command does, and return the exit code."""
    os.write(2, f"Error: {words}\n".encode())
    return code


def say(words: str) -> int:
    """Print a result, and return 0."""
    os.write(1, f"{words}\n".encode())
    return 0


def parse(words: list[str], known: dict[str, int]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the options, and the words from the first that is no option."""
    given: dict[str, list[str]] = {}
    while words and words[0].startswith("-") and words[0] != "--":
        option = words.pop(0)
        if option not in known:
            sys.exit(refuse(f"unknown option {option}"))
        given.setdefault(option, []).append(words.pop(0) if known[option] else "")
    return given, words


def image() -> str:
    """Return the id of the local image; "" if there is none."""
    path = FAKE / "image"
    return path.read_text().strip() if path.exists() else ""


def pull(words: list[str]) -> int:
    """Pull the image that the registry has, if there is a registry."""
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
    """Return the pid of a living microVM; 0 if there is none."""
    try:
        pid = int((RUNNING / name).read_text())
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] == "Z":
            return 0
    except (OSError, ValueError):
        return 0
    return pid


def podman(words: list[str]) -> int:
    """Act as podman."""
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
    """Act as `podman container inspect`."""
    return say("true" if pid_of(words[-1]) else "false")


def podman_image(words: list[str]) -> int:
    """Act as `podman image inspect`."""
    if not image():
        return refuse(f"{words[-1]}: image not known")
    return say(json.dumps([{"Id": image(), "Config": {"Env": ENVIRONMENT}}]))


def end(name: str, signum: int) -> int:
    """Send a microVM a signal, and return once it has ended."""
    if pid := pid_of(name):
        os.kill(pid, signum)
        while pid_of(name):
            time.sleep(0.01)
    return 0


def podman_run(words: list[str]) -> int:
    """Act as `podman run`: mount the shared folder, and end with the container's exit code."""
    options, rest = parse(words, RUN_OPTIONS)
    if not image():
        return refuse("image not known")
    (number,) = options["--name"]
    Path(options["--cidfile"][0]).write_text(number)
    [shared] = [v.split(":")[0] for v in options["--volume"] if v.split(":")[1] == "/gh-runner"]
    return start(number, shared, rest[1:]).wait()


def krunvm(words: list[str]) -> int:
    """Act as krunvm: `create` stores what `start` needs; `start` is the microVM itself."""
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
    """Act as buildah."""
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
    """Act as crun under the name krun, with or without libkrun."""
    features = "+SYSTEMD +CAP +LIBKRUN" if (FAKE / "libkrun").exists() else "+SYSTEMD +CAP"
    say(f"crun version 1.20\n{features}")
    return 0 if words == ["--version"] else 1


def main(program: str, words: list[str]) -> int:
    """Record the command, and act as that program."""
    with (FAKE / "calls").open("a") as file:
        call = {"program": program, "words": words, "environment": dict(os.environ)}
        file.write(json.dumps(call) + "\n")
    programs = {"podman": podman, "krunvm": krunvm, "buildah": buildah, "krun": krun}
    return programs.get(program, krun)(list(words))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).name, sys.argv[2:]))
