"""Write a runner distribution that talks to the simulator and has the layout of the real one."""

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
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

VERSION = "2.336.0"
HERE = Path(__file__).resolve().parent
PACKAGE = "runner"
SYSTEM_PYTHON = "/usr/bin/python3"
# A step needs some time to react to a cancel, and a retry without a pause would be a busy loop.
SMALLEST_CANCEL_SCALE = 0.02
SMALLEST_RETRY = 0.02
SMALLEST_READ = 5.0  # seconds; on a loaded machine a healthy worker may need some
RETRIES = ("relaunch", "retry_min", "retry_max", "session_retry")
# The service sets these times, however fast the runner is.
UNSCALED = ("renew", "token_renewal")


@dataclass(frozen=True)
class Distribution:
    """The content of `bin/simulator.json`: the server, and the runner's times in seconds.

    When a job arrives, `message` passes until the listener's log grows, `acquire` until the
    listener has the job, `worker_start` until the worker's process starts, and `worker_log` until
    the worker's log is there. The listener kills a worker that has not read its job after
    `worker_read`.

    The listener renews the lock of a job every `renew` seconds. An idle listener renews its token
    every `token_renewal` seconds (0: never), and its log grows then. A scale does not change these
    two.
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
        """Return the real runner's times multiplied by `scale`; `fixed` replaces some of them."""
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
    """Write a distribution and return its path.

    With a `scale` of 1 the runner takes the real one's times, with 0 none. The files belong to
    `owner`, who must be able to execute the interpreter. `options` are fields of `Distribution`,
    and `cancel_scale`: the scale of the times that a cancelled step has.
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


@cache
def find_interpreter(owner: str | int | None) -> str:
    """Return the path of a Python that a user can execute."""
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
    """Write the modules, compiled as well: a start of the runner must not compile them."""
    (target / "__pycache__").mkdir(parents=True, exist_ok=True)
    for name, content in _programs().items():
        (target / name).write_bytes(content)


@cache
def _programs() -> dict[str, bytes]:
    """Return the modules and their compiled forms; each process compiles them once."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as directory:
        for source in sorted((HERE / PACKAGE).glob("*.py")):
            name = cache_from_source(source.name)
            compiled = Path(directory, "compiled")
            py_compile.compile(
                str(source), str(compiled), source.name, doraise=True, invalidation_mode=mode
            )
            files |= {source.name: source.read_bytes(), name: compiled.read_bytes()}
    return files


def _give(root: Path, owner: str | int) -> None:
    entry = pwd.getpwnam(owner) if isinstance(owner, str) else pwd.getpwuid(owner)
    for path in (root, *root.rglob("*")):
        os.lchown(path, entry.pw_uid, entry.pw_gid)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 1001
    member.uname = member.gname = "runner"
    return member
