"""The loops: what follows the end of a microVM, and a stop of the orchestrator."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.krun.conftest import Orchestrator, is_alive, option
from tests.support.life import until


def test_a_new_microvm_for_each_job(orchestrator: Orchestrator) -> None:
    """After a job the next microVM starts at once under another name; -r is their number."""
    orchestrator.live({"seconds": 0.1})
    assert orchestrator.start(runner=("-r", "3")).wait() == 0
    runs = orchestrator.calls("podman", "run")
    assert len({option(run, "--name") for run in runs}) == 3
    assert len({option(run, "--cidfile") for run in runs}) == 3
    assert list(orchestrator.shared.iterdir()) == []


def test_failures_have_growing_pauses(orchestrator: Orchestrator) -> None:
    """After failures the pauses are 1, 2, 4, … seconds; the last exit code counts in the end."""
    orchestrator.live({"seconds": 0, "code": 75, "phases": []})
    begin = time.monotonic()
    assert orchestrator.start(runner=("-r", "3")).wait() == 75
    assert time.monotonic() - begin > 0.9 + 1.8
    assert "the next one starts in 1 s" in orchestrator.log
    assert "the next one starts in 2 s" in orchestrator.log


def test_a_success_makes_the_pauses_short_again(orchestrator: Orchestrator) -> None:
    """After a job the pauses begin with the shortest again."""
    bad, good = {"seconds": 0, "code": 76}, {"seconds": 0}
    orchestrator.live(bad, good, bad)
    assert orchestrator.start(runner=("-r", "3")).wait() == 76
    assert orchestrator.log.count("the next one starts in 1 s") == 2


@pytest.mark.parametrize("code", [77, 78])
def test_what_trying_cannot_help_ends_the_loop(orchestrator: Orchestrator, code: int) -> None:
    """A wrong token or setting is tried once, by one loop, and ends the orchestrator."""
    orchestrator.live({"seconds": 0, "code": code, "phases": []})
    assert orchestrator.start("-n", "3").wait() == code
    assert len(orchestrator.calls("podman", "run")) == 1
    assert "trying again would not help" in orchestrator.log


def test_a_refused_version_is_pulled_first(orchestrator: Orchestrator) -> None:
    """After 7 the next start waits for a newer image, and comes at once if there is one."""
    (orchestrator.fake / "registry").write_text("sha256:old")
    orchestrator.live({"seconds": 0.5, "code": 7}, {"seconds": 0})
    orchestrator.start(runner=("-r", "2")).until_listening()
    (orchestrator.fake / "registry").write_text("sha256:new")
    assert orchestrator.wait() == 0
    assert (orchestrator.fake / "image").read_text() == "sha256:new"
    assert "the image is pulled before the next start" in orchestrator.log


def test_a_refused_version_is_not_started_again(orchestrator: Orchestrator) -> None:
    """If the registry has no newer image, the next start comes after the longest pause."""
    (orchestrator.fake / "registry").write_text("sha256:old")
    orchestrator.live({"seconds": 0, "code": 7})
    orchestrator.start()
    until(lambda: "there is no newer image; a pause of 300 s" in orchestrator.log)
    assert len(orchestrator.calls("podman", "run")) == 1
    assert orchestrator.signal().wait() == 143


def test_a_registry_that_is_down(orchestrator: Orchestrator) -> None:
    """If the registry is down, the local image is used, with a warning."""
    orchestrator.live({"seconds": 0})
    assert orchestrator.start(runner=("-r", "1")).wait() == 0
    assert "cannot be pulled" in orchestrator.log
    assert "connection refused" in orchestrator.log


def test_no_image_at_all(orchestrator: Orchestrator) -> None:
    """Without any image each try is a failure with a pause: the registry may come back."""
    (orchestrator.fake / "image").unlink()
    orchestrator.start()
    until(lambda: orchestrator.log.count("there is no image example.com/image:1") == 2)
    (orchestrator.fake / "registry").write_text("sha256:new")
    orchestrator.until_listening()
    assert orchestrator.signal().wait() == 143


@pytest.mark.parametrize("code", [130, 143])
def test_a_stop_from_inside_ends_the_loop(orchestrator: Orchestrator, code: int) -> None:
    """A microVM that was stopped from inside is not started again."""
    orchestrator.live({"seconds": 0, "code": code})
    assert orchestrator.start().wait() == 0
    assert len(orchestrator.calls("podman", "run")) == 1
    assert "not by us: the loop ends" in orchestrator.log


def test_longest_life(orchestrator: Orchestrator) -> None:
    """-k stops a microVM by its stop file, and the loop starts a new one at once."""
    assert orchestrator.start(runner=("-k", "0.5", "-r", "2")).wait() == 0
    assert orchestrator.log.count("stopping it because of -k") == 2
    assert orchestrator.log.count("ended with 143") == 2
    assert "the next one starts in" not in orchestrator.log


def test_loops_start_one_after_the_other(orchestrator: Orchestrator) -> None:
    """The next loop starts once the runner of the one before listens."""
    orchestrator.live({"phases": ["registering"]}, {})
    orchestrator.start("-n", "2", "-s", "100")
    until(lambda: len(orchestrator.seen()) == 1)
    (folder,) = orchestrator.folders()
    time.sleep(1)  # long enough for a second one to start
    assert len(orchestrator.calls("podman", "run")) == 1
    state = folder / "shared/state/state.json"
    state.write_text('{"phase": "listening"}')
    until(lambda: len(orchestrator.seen()) == 2)
    assert orchestrator.signal().wait() == 143


def test_one_bad_loop_does_not_hold_up_the_others(orchestrator: Orchestrator) -> None:
    """The next loop waits for the one before at most as long as -s says."""
    orchestrator.live({"phases": ["registering"]}, {})
    orchestrator.start("-n", "2", "-s", "0.5").until_listening()
    assert len(orchestrator.seen()) == 2
    assert orchestrator.signal().wait() == 143


@pytest.mark.parametrize("by_option", [True, False], ids=["option", "variable"])
def test_without_isolation(orchestrator: Orchestrator, by_option: bool) -> None:
    """-I starts the loops -s seconds apart, and puts no setting on a command line."""
    orchestrator.live({"phases": ["registering"]})
    words = ["-n", "2", "-s", "0.5", *(["-I"] if by_option else [])]
    orchestrator.start(*words, env={} if by_option else {"ORCHESTRATOR_ISOLATION": "0"})
    until(lambda: len(orchestrator.seen()) == 2)
    assert "-I: the settings go through the shared folder" in orchestrator.log
    assert orchestrator.signal().wait() == 143


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stop(orchestrator: Orchestrator, signum: int, code: int) -> None:
    """A signal stops all microVMs by their stop files, and leaves nothing behind."""
    orchestrator.start("-n", "3").until_listening(3)
    assert orchestrator.signal(signum).wait() == code
    assert orchestrator.alive() == []
    assert orchestrator.log.count("ended with 143") == 3
    assert orchestrator.calls("podman", "stop") == []
    assert list(orchestrator.shared.iterdir()) == []


def test_stop_in_a_pause(orchestrator: Orchestrator) -> None:
    """A signal during a pause ends it at once."""
    orchestrator.live({"seconds": 0, "code": 75})
    orchestrator.start()
    until(lambda: "the next one starts in 4 s" in orchestrator.log)
    begin = time.monotonic()
    assert orchestrator.signal().wait() == 143
    assert time.monotonic() - begin < 3


def test_stop_before_it_listens(orchestrator: Orchestrator) -> None:
    """A microVM that still boots finds the stop file later, and stops then."""
    orchestrator.live({"phases": []})
    orchestrator.start()
    until(orchestrator.seen)
    assert orchestrator.signal().wait() == 143
    assert orchestrator.alive() == []


def test_a_drain_is_waited_for(orchestrator: Orchestrator) -> None:
    """The orchestrator waits as long as the runner's own time limits for a stop allow."""
    orchestrator.live({"drain": 2})
    env = {"RUNNER_DRAIN_TIMEOUT": "60"}
    orchestrator.start(env=env).until_listening()
    assert option(orchestrator.calls("podman", "run")[0], "--stop-timeout") == "84"
    assert orchestrator.signal().wait() == 143
    assert "killed" not in orchestrator.log


def test_a_second_signal_hurries(orchestrator: Orchestrator) -> None:
    """A second signal writes a second stop file; microVMs that stay are killed, and 74 says so."""
    orchestrator.live({"deaf": True}, {"sweep": 1})
    env = {"RUNNER_STOP_TIMEOUT": "0", "RUNNER_DRAIN_TIMEOUT": "0", "ORCHESTRATOR_SWEEP": "0"}
    orchestrator.start(env=env).until_listening()
    (folder,) = orchestrator.folders()
    orchestrator.signal()
    until((folder / "shared/stop").exists)
    (folder / "shared/stop").unlink()
    orchestrator.signal()
    until(lambda: (folder / "shared/stop").exists() or not folder.exists())
    assert orchestrator.wait() == 74
    assert orchestrator.alive() == []
    assert f"may still be on GitHub's list: {folder.name}" in orchestrator.log


def test_a_microvm_that_was_killed_is_swept(orchestrator: Orchestrator) -> None:
    """A runner that was killed is taken off the list by another microVM, by its name."""
    orchestrator.live({}, {"sweep": 0}, {})
    orchestrator.start(env={"ORCHESTRATOR_SWEEP": "0.1"}).until_listening()
    (name,) = [folder.name for folder in orchestrator.folders()]
    os.kill(orchestrator.alive()[0], signal.SIGKILL)
    until(lambda: any(seen["arguments"] for seen in orchestrator.seen()))
    (sweep,) = [seen["arguments"] for seen in orchestrator.seen() if seen["arguments"]]
    assert sweep[:3] == ["sweep", "--prefix", f"{name}-"]
    orchestrator.until_listening(2)
    assert orchestrator.signal().wait() == 143
    assert list(orchestrator.shared.iterdir()) == []


def test_power_off_is_no_success(orchestrator: Orchestrator) -> None:
    """A microVM that a job switches off also ends with 0, but its runner is still listed."""
    orchestrator.live({"seconds": 0, "tidy": False}, {"sweep": 0})
    orchestrator.start(runner=("-r", "1"), env={"ORCHESTRATOR_SWEEP": "0"})
    assert orchestrator.wait() == 0
    assert "the next one starts in" in orchestrator.log
    assert any(seen["arguments"] for seen in orchestrator.seen())


def kill_clients(orchestrator: Orchestrator) -> None:
    """Kill each `podman run` of this orchestrator."""
    children = Path(f"/proc/{orchestrator.processes[-1].pid}/task").glob("*/children")
    for pid in " ".join(path.read_text() for path in children).split():
        if b"\0run\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(int(pid), signal.SIGKILL)


def test_a_client_that_was_killed(orchestrator: Orchestrator) -> None:
    """After podman's client was killed the loop still watches the microVM, and goes on."""
    orchestrator.live({"seconds": 4}, {"seconds": 0})
    orchestrator.start(runner=("-r", "2")).until_listening()
    (pid,) = orchestrator.alive()
    kill_clients(orchestrator)
    until(lambda: "its client was killed; it lives on" in orchestrator.log)
    assert is_alive(pid)
    assert orchestrator.wait() == 0
    assert len(orchestrator.calls("podman", "run")) == 2


def test_stop_after_the_client_was_killed(orchestrator: Orchestrator) -> None:
    """After podman's client was killed the stop file still reaches the microVM."""
    orchestrator.start().until_listening()
    kill_clients(orchestrator)
    until(lambda: "its client was killed; it lives on" in orchestrator.log)
    assert orchestrator.signal().wait() == 143
    assert orchestrator.alive() == []


def test_a_killed_orchestrator_leaves_nothing_to_the_next(orchestrator: Orchestrator) -> None:
    """After a kill the next orchestrator first ends the microVMs that are left."""
    orchestrator.start("-n", "2").until_listening(2)
    before = orchestrator.alive()
    orchestrator.signal(signal.SIGKILL).wait()
    assert orchestrator.alive() == before
    orchestrator.live({"seconds": 0})
    assert orchestrator.start(runner=("-r", "1")).wait() == 0
    assert orchestrator.alive() == []
    assert orchestrator.log.count("that was killed has left it: ending it") == 2
    assert list(orchestrator.shared.iterdir()) == []
    assert orchestrator.calls("podman", "stop") == []


def test_a_power_cut(orchestrator: Orchestrator) -> None:
    """After a power cut the next orchestrator sweeps for the runners of all microVMs."""
    orchestrator.start().until_listening()
    orchestrator.signal(signal.SIGKILL).wait()
    os.kill(orchestrator.alive()[0], signal.SIGKILL)
    orchestrator.live({"seconds": 0, "sweep": 0})
    env = {"ORCHESTRATOR_SWEEP": "0"}
    assert orchestrator.start(runner=("-r", "1"), env=env).wait() == 0
    assert len([seen for seen in orchestrator.seen() if seen["arguments"]]) == 1
    assert list(orchestrator.shared.iterdir()) == []


def test_a_sweep_that_is_interrupted(orchestrator: Orchestrator) -> None:
    """If a sweep was interrupted, the next orchestrator sweeps for that runner again."""
    orchestrator.start(env={"ORCHESTRATOR_SWEEP": "100"}).until_listening()
    os.kill(orchestrator.alive()[0], signal.SIGKILL)
    orchestrator.until_listening(2)
    orchestrator.signal(signal.SIGKILL).wait()
    assert len(orchestrator.folders()) == 2
    orchestrator.live({"seconds": 0, "sweep": 0})
    env = {"ORCHESTRATOR_SWEEP": "0"}
    assert orchestrator.start(runner=("-r", "1"), env=env).wait() == 0
    assert len([seen for seen in orchestrator.seen() if seen["arguments"]]) == 1
    assert list(orchestrator.shared.iterdir()) == []


def test_the_folders_of_others_are_left_alone(orchestrator: Orchestrator) -> None:
    """Folders in -d that no orchestrator has made are left alone."""
    for name in ("dpkg", "data.01234567"):
        (orchestrator.shared / name).mkdir(parents=True)
        (orchestrator.shared / name / "lock").touch()
    orchestrator.shared.chmod(0o755)
    orchestrator.live({"seconds": 0})
    assert orchestrator.start(runner=("-r", "1")).wait() == 0
    assert {path.name for path in orchestrator.shared.iterdir()} == {"dpkg", "data.01234567"}


def test_two_orchestrators_with_one_prefix(orchestrator: Orchestrator) -> None:
    """The second orchestrator never touches the first one's microVMs."""
    orchestrator.start().until_listening()
    (first,) = orchestrator.alive()
    orchestrator.start().until_listening(2)
    assert len(orchestrator.alive()) == 2
    assert orchestrator.signal().wait() == 143
    assert orchestrator.alive() == [first]
    assert not [words for words in orchestrator.calls() if "left it" in str(words)]
    orchestrator.processes[0].terminate()
    assert orchestrator.processes[0].wait(30) == 143
    assert orchestrator.alive() == []


def test_containers_are_known_by_their_id(orchestrator: Orchestrator) -> None:
    """No list of containers is asked for, and only the orchestrator's own are removed."""
    orchestrator.live({"seconds": 0})
    assert orchestrator.start(runner=("-r", "2")).wait() == 0
    names = {option(run, "--name") for run in orchestrator.calls("podman", "run")}
    removed = {words[-1] for words in orchestrator.calls("podman", "rm")}
    assert removed == names  # the stand-in's ids are names
    assert orchestrator.calls("podman", "ps") == []


def tmpfs(orchestrator: Orchestrator) -> list[str]:
    """Return words that run a command with shared folders on a file system of one page."""
    orchestrator.shared.mkdir(mode=0o700)
    script = f'mount -t tmpfs -o size=64k,mode=0700 full {orchestrator.shared} && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def test_a_full_shared_folder_starts_nothing(orchestrator: Orchestrator) -> None:
    """If the env file cannot be written, no microVM starts; the log says so, and it tries again."""
    wrapper = tmpfs(orchestrator)
    full = f"cat /dev/zero >{orchestrator.shared}/full 2>/dev/null"
    wrapper[4] = wrapper[4].replace(
        " && exec", f"; {full}; : >{orchestrator.directory}/ready; exec"
    )
    orchestrator.start(wrapper=wrapper)
    until(lambda: "its folder cannot be made" in orchestrator.log)
    assert "No space left on device" in orchestrator.log
    assert "Traceback" not in orchestrator.log
    assert orchestrator.calls("podman", "run") == []
    assert orchestrator.signal().wait() == 143


def test_a_folder_that_a_job_has_filled_does_not_prevent_the_stop(
    orchestrator: Orchestrator,
) -> None:
    """A full folder does not prevent a stop: the file was made when there was room."""
    orchestrator.start(wrapper=tmpfs(orchestrator)).until_listening()
    (pid,) = orchestrator.alive()
    inside = Path(f"/proc/{pid}/root{orchestrator.shared}")
    with pytest.raises(OSError, match="No space left"), (inside / "full").open("wb") as file:
        file.write(b"0" * 10**6)
    assert orchestrator.signal().wait() == 143
    assert "no stop by file" not in orchestrator.log


def test_a_shared_folder_that_is_gone(orchestrator: Orchestrator) -> None:
    """If the folder is gone, the log says so, `podman stop` is used, and the loops go on."""
    orchestrator.start().until_listening()
    subprocess.run(["rm", "-rf", *orchestrator.shared.iterdir()], check=True)
    assert orchestrator.signal().wait() == 143
    assert "no stop by file: No such file or directory" in orchestrator.log
    assert len(orchestrator.calls("podman", "stop")) == 1
    assert orchestrator.alive() == []


def test_the_next_microvm_makes_the_folder_anew(orchestrator: Orchestrator) -> None:
    """If the folder was deleted, the next microVM gets a new one."""
    orchestrator.live({"seconds": 1}, {})
    orchestrator.start().until_listening()
    subprocess.run(["rm", "-rf", *orchestrator.shared.iterdir()], check=True)
    orchestrator.until_listening(2)
    assert orchestrator.signal().wait() == 143
    assert orchestrator.alive() == []


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a link for state": lambda shared: replace(shared / "state").symlink_to("/etc"),
    "a FIFO for state.json": lambda shared: os.mkfifo(replace(shared / "state/state.json")),
    "a list in state.json": lambda shared: (shared / "state/state.json").write_text("[[]]"),
    "a folder for stop": lambda shared: (shared / "stop").mkdir(),
    "a link for stop": lambda shared: (shared / "stop").symlink_to("/etc/hosts"),
    "a link for the env file": lambda shared: (shared / "runner.env").symlink_to("/etc/hosts"),
}


def replace(path: Path) -> Path:
    """Remove a file, and return its path."""
    path.rename(path.with_name("away"))
    return path


@pytest.mark.parametrize("do", HOSTILE.values(), ids=HOSTILE)
def test_what_root_in_the_microvm_puts_there(
    orchestrator: Orchestrator, do: Callable[[Path], object]
) -> None:
    """Nothing that a job puts into the shared folder is followed, or makes the host wait."""
    hosts = Path("/etc/hosts").read_bytes()
    orchestrator.live({}, {"sweep": 0})
    env = {"ORCHESTRATOR_SWEEP": "0", "RUNNER_STOP_TIMEOUT": "0"}
    orchestrator.start(env=env).until_listening()
    (folder,) = orchestrator.folders()
    do(folder / "shared")
    assert orchestrator.signal().wait(60) == 143
    assert Path("/etc/hosts").read_bytes() == hosts
    assert orchestrator.alive() == []
    assert list(orchestrator.shared.iterdir()) == []
    assert "Traceback" not in orchestrator.log


def test_a_token_file_that_has_gone(orchestrator: Orchestrator) -> None:
    """If the token's file is gone, the log says so at the next start, and the loop tries again."""
    orchestrator.live({"seconds": 0.5})
    orchestrator.start().until_listening()
    orchestrator.token.unlink()
    until(lambda: f"{orchestrator.token}: No such file" in orchestrator.log)
    orchestrator.token.write_text("ghp_again")
    orchestrator.until_listening(2)
    assert orchestrator.signal().wait() == 143
