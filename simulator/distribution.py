"""Write a runner distribution that talks to the simulator, laid out as the real one is."""

import json
import os
import pwd
import py_compile
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VERSION = "2.336.0"
HERE = Path(__file__).resolve().parent
PACKAGE = "runner"
SYSTEM_PYTHON = "/usr/bin/python3"
# Without any time at all no step could react to a cancel, and retries would be a busy loop.
SMALLEST_CANCEL_SCALE = 0.02
SMALLEST_RETRY = 0.02
SMALLEST_READ = 5.0  # a worker that is alive needs as long as a loaded machine makes it
RETRIES = ("relaunch", "retry_min", "retry_max", "session_retry")
# The service's times, which a faster runner does not change.
UNSCALED = ("renew", "token_renewal")


@dataclass(frozen=True)
class Distribution:
    """What is in `bin/simulator.json`: the server, and the runner's times in seconds.

    A job arrives: `message` until the listener's log grows, `acquire` until the listener has it,
    `worker_start` until there is a worker, `worker_log` until that one's log. A worker that has
    not read its job after `worker_read` is killed. The lock of a job is renewed every `renew`
    seconds. An idle listener renews its token every `token_renewal` seconds (0: never), which
    makes its log grow without a job. These two are not scaled.
    """

    url: str
    version: str = VERSION
    dotnet: int = 8
    configure_start: float = 0.60
    configure_record: float = 0.06
    configure_end: float = 0.25
    listen_start: float = 0.52
    remove: float = 0.45
    stop: float = 0.10
    message: float = 0.05
    acquire: float = 0.13
    worker_start: float = 0.06
    worker_log: float = 0.07
    worker_read: float = 30.0
    upload: float = 1.20
    interrupt_grace: float = 7.5
    terminate_grace: float = 2.5
    output_grace: float = 5.0
    retry_min: float = 1.0
    retry_max: float = 5.0
    relaunch: float = 1.0
    session_retry: float = 30.0
    session_conflict: float = 240.0
    session_delete: float = 30.0
    renew: float = 60.0
    token_renewal: float = 0.0

    @classmethod
    def scaled(
        cls, url: str, scale: float, cancel_scale: float | None = None, **fixed: Any
    ) -> "Distribution":
        """The real one's times, multiplied; `fixed` replaces some of them."""
        cancel = max(scale, SMALLEST_CANCEL_SCALE) if cancel_scale is None else cancel_scale
        times = {}
        for name, value in asdict(cls(url)).items():
            if isinstance(value, float):
                factor = cancel if name.endswith("_grace") else scale
                factor = 1.0 if name in UNSCALED else factor
                times[name] = round(value * factor, 6)
        for name in RETRIES:
            times[name] = max(times[name], SMALLEST_RETRY)
        times["worker_read"] = max(times["worker_read"], SMALLEST_READ)
        return cls(url=url, **{**times, **fixed})


def make_distribution(
    directory: Path | str,
    *,
    url: str,
    scale: float = 0.0,
    owner: str | int | None = None,
    interpreter: str = "",
    **options: Any,
) -> Path:
    """Write a distribution; its path.

    `scale` 1 takes the real one's times, 0 none. `owner` is a user that the files will belong
    to and that must be able to execute the interpreter. `options` are fields of `Distribution`
    and `cancel_scale`.
    """
    root = Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    settings = Distribution.scaled(url, scale, **options)
    python = interpreter or find_interpreter(owner)
    _copy_layout(root, python)
    _copy_programs(root / "bin" / PACKAGE)
    (root / "bin" / "simulator.json").write_text(json.dumps(asdict(settings), indent=2) + "\n")
    (root / "bin" / "scale").write_text(f"{settings.relaunch}\n")
    if owner is not None:
        _give(root, owner)
    return root


def make_tar(file: Path | str, *, url: str, **options: Any) -> Path:
    """Write a distribution as the `actions-runner-linux-x64-….tar.gz` that GitHub publishes."""
    with tempfile.TemporaryDirectory() as directory:
        root = make_distribution(directory, url=url, **{"interpreter": SYSTEM_PYTHON, **options})
        with tarfile.open(file, "w:gz") as archive:
            for path in sorted(root.iterdir()):
                archive.add(path, f"./{path.name}", filter=_anonymous)
    return Path(file)


def find_interpreter(owner: str | int | None) -> str:
    """The path of a Python that a user can execute; the system's starts fastest."""
    candidates = (SYSTEM_PYTHON, os.path.realpath(sys.executable), "/usr/local/bin/python3")
    for candidate in candidates:
        if os.path.exists(candidate) and (owner is None or _can_execute(candidate, owner)):
            return candidate
    raise FileNotFoundError(f"no Python among {', '.join(candidates)} that {owner} can execute")


def _can_execute(path: str, owner: str | int) -> bool:
    if os.geteuid() != 0:
        return os.access(path, os.X_OK)
    command = [path, "-I", "-S", "-c", ""]
    options: dict[str, Any] = {"user": owner, "extra_groups": [], "cwd": "/"}
    try:
        return subprocess.run(command, check=False, capture_output=True, **options).returncode == 0
    except OSError:
        return False


def _copy_layout(root: Path, interpreter: str) -> None:
    shutil.copytree(HERE / "layout", root, dirs_exist_ok=True)
    for program in ("Runner.Listener", "Runner.Worker"):
        path = root / "bin" / program
        path.write_text(path.read_text().replace("@PYTHON@", interpreter, 1))
        path.chmod(0o755)


def _copy_programs(target: Path) -> None:
    """Copy the modules, compiled so that no start has to compile them."""
    target.mkdir(exist_ok=True)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for source in sorted((HERE / PACKAGE).glob("*.py")):
        copy = target / source.name
        shutil.copyfile(source, copy)
        py_compile.compile(str(copy), doraise=True, invalidation_mode=mode)


def _give(root: Path, owner: str | int) -> None:
    entry = pwd.getpwnam(owner) if isinstance(owner, str) else pwd.getpwuid(owner)
    for path in (root, *root.rglob("*")):
        os.lchown(path, entry.pw_uid, entry.pw_gid)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 1001
    member.uname = member.gname = "runner"
    return member
