"""The vault keeps the credential, and no message contains it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from entrypoint import call, redaction
from entrypoint.errors import ExitCode, Failure
from entrypoint.init.child import Parent
from entrypoint.vault import Vault
from simulator import Simulator
from tests.support import unprivileged
from tests.support.life import NAMESPACE, Life, until
from tests.support.mutants import mutated, replace
from tests.support.secrets import app_key

TOKEN = "GITHUB_PERSONAL_TOKEN"
KEY = "GITHUB_APP_PRIVATE_KEY"
STOPPED_BEFORE_EXEC = replace("leave_environment", "os.execve(...)", "os.system('kill 1')\nOLD")


def run_child(parent: Parent, function: Callable[[], object]) -> str:
    """Run a function as PID 1 runs functions, and return what it prints."""
    child = parent.fork(lambda: call.answer(function), capture=True)
    os.waitpid(child.pid, 0)
    return child.output()


def new_token() -> str:
    """Make a token that has none of the forms of GitHub's tokens."""
    return f"tomorrow-{secrets.token_hex(12)}"


def test_vault_is_read_by_children_and_cannot_be_changed() -> None:
    """The vault is written once, whatever process has the descriptor."""
    vault = Vault()
    vault.fill({TOKEN: "ghp_a"})

    def known() -> bytes:
        return vault.read()[TOKEN].encode()

    child = Parent().fork(known)
    os.waitpid(child.pid, 0)
    assert child.answer() == b"ghp_a"
    with pytest.raises(PermissionError):
        vault.fill({TOKEN: "ghp_b"})


def test_forgotten_vault_is_gone() -> None:
    """A forgotten vault cannot be read; forgetting it twice is no error."""
    vault = Vault()
    vault.fill({TOKEN: "ghp_a"})
    vault.forget()
    vault.forget()
    with pytest.raises(OSError, match="Bad file descriptor"):
        vault.read()


def test_traceback_of_a_child_holds_no_secret() -> None:
    """A traceback of a child contains no secret that the child knows, nor a line of a key."""
    token, line = new_token(), secrets.token_hex(32)
    vault = Vault()
    vault.fill({TOKEN: token, KEY: f"-----BEGIN X-----\n{line}\n-----END X-----"})

    def fail() -> None:
        vault.read()
        raise RuntimeError(f"Invalid header 'Bearer {token}' and {line}")

    said = run_child(Parent(), fail)
    assert "Traceback" in said
    assert "Invalid header 'Bearer ***' and ***" in said


def test_failure_of_a_child_holds_no_secret() -> None:
    """A message of a child to the operator does not contain its secret."""
    token = new_token()

    def fail() -> None:
        redaction.hide(token)
        raise Failure(ExitCode.CONFIG, f"cannot use {token}", f"take another than {token}")

    parent = Parent()
    child = parent.fork(lambda: call.answer(fail))
    os.waitpid(child.pid, 0)
    with pytest.raises(Failure) as caught:
        call.result(child)
    assert (caught.value.message, caught.value.hint) == ("cannot use ***", "take another than ***")


FAULTS = {
    "refused": {"path": "registration-token", "status": 401},
    "echoed by a proxy": {"path": "registration-token", "status": 403, "body": "{}"},
    "server error": {"path": "registration-token", "status": 500, "times": 0},
    "reset": {"path": "registration-token", "reset": True, "times": 0},
    "no token in the answer": {"path": "registration-token", "status": 201, "body": {}},
    "config.sh fails": {"path": "/actions/runner-registration", "status": 500, "times": 0},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_log_line_holds_a_secret(
    life: Life, simulator: Simulator, fault: dict[str, object]
) -> None:
    """No log line holds a secret, even at debug level, even if GitHub sends it back."""
    token = new_token()
    simulator.add_credential(token)
    if fault.get("body") == "{}":
        fault = {**fault, "body": {"message": f"I do not like {token}"}}
    simulator.fault(**fault)
    life.start(GITHUB_PERSONAL_TOKEN=token, RUNNER_LOG_LEVEL="debug", GITHUB_TIMEOUT="3")
    assert life.wait() not in (0, 70), life.output
    given_out = [t for tokens in simulator.tokens().values() for t in tokens]
    assert [t for t in (token, *given_out) if t in life.output] == []


def test_what_config_sh_says_of_its_token_is_not_repeated(life: Life, simulator: Simulator) -> None:
    """If config.sh prints its token as it fails, the message does not repeat it."""
    script = life.home / "config.sh"
    script.write_text("#!/bin/sh\necho token: $ACTIONS_RUNNER_INPUT_TOKEN\nexit 1\n")
    token = new_token()
    simulator.fault(path="registration-token", status=201, body={"token": token})
    assert life.start().wait() == 76
    assert "token: ***" in life.error()
    assert token not in life.output


def test_no_secret_in_any_argument_list(life: Life, simulator: Simulator) -> None:
    """config.sh gets its token in its environment, which only its user can read."""
    simulator.fault(path="/actions/runner-registration", hang=True)
    life.start()
    pid = life.pid_of("config.sh")
    simulator.wait_for("request", path="/actions/runner-registration")
    [token] = simulator.tokens()["registration"]
    arguments = [Path(f"/proc/{p}/cmdline").read_bytes() for p in life.inside()]
    assert not any(token.encode() in words or b"ghp_" in words for words in arguments)
    assert token.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    assert (
        "Max core file size        1                    1"
        in Path(f"/proc/{pid}/limits").read_text()
    )


def test_pid_1_is_not_dumpable(life: Life, simulator: Simulator) -> None:
    """No core is written, and PID 1's own user cannot read its environment."""
    life.start(namespace=[*NAMESPACE, *unprivileged.prefix()])
    simulator.wait_for("session_opened")
    assert os.stat(f"/proc/{life.pid_1}/environ").st_uid == 0


def test_environment_of_pid_1_is_clean(life: Life, simulator: Simulator) -> None:
    """If a secret was in the environment, PID 1 has executed itself without it."""
    life.start()
    simulator.wait_for("session_opened")
    environ = Path(f"/proc/{life.pid_1}/environ").read_bytes()
    assert b"RUNNER_NAME=r" in environ
    assert TOKEN.encode() not in environ


def test_signal_mask_survives_the_second_start(life: Life, simulator: Simulator) -> None:
    """A stop while PID 1 executes itself again is not lost."""
    life.program = mutated(life.directory, STOPPED_BEFORE_EXEC)
    assert life.start().wait() == 143, life.output
    assert simulator.requests() == []


BAD_TOKENS = {
    "two lines": "ghp_one\nghp_two\n",
    "control character": "ghp_\x07one",
    "space": "ghp_ one",
    "not ASCII": "ghp_öne",
    "1 MB": "ghp_" * 2**18,
    "empty": "",
    "white space": "\n \n",
}


@pytest.mark.parametrize("text", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_file_that_holds_no_token(life: Life, simulator: Simulator, text: str) -> None:
    """The message has the variable and the file, and nothing of its content; the file stays."""
    path = life.directory / "token"
    path.write_text(text)
    assert life.start(GITHUB_PERSONAL_TOKEN="", GITHUB_PERSONAL_TOKEN_FILE=str(path)).wait() == 78
    assert f"{TOKEN}_FILE: {path} " in life.error()
    assert not any(part in life.output for part in ("ghp_", "\\u0007", "öne", "\\u00f6"))
    assert path.read_text() == text
    assert simulator.requests() == []


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: str = "") -> str:
    """Return a key in PEM form."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


@pytest.mark.parametrize("kind", ["words", "cut", "garbage", "public", "elliptic", "encrypted"])
@pytest.mark.parametrize("in_file", [False, True], ids=["variable", "file"])
def test_app_key_that_is_none(life: Life, simulator: Simulator, kind: str, in_file: bool) -> None:
    """The key is refused before anything is deleted or requested, and no line of it is shown."""
    key = serialization.load_pem_private_key(app_key().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    text = {
        "words": "correct horse battery staple",
        "cut": pem(key)[:-40],
        "garbage": "-----BEGIN PRIVATE KEY-----\nMIIabcdefgh\n-----END PRIVATE KEY-----\n",
        "public": pem(key).replace("PRIVATE", "PUBLIC"),
        "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
        "encrypted": pem(key, "secret"),
    }[kind]
    path = life.directory / "key"
    path.write_text(text)
    life.env |= {f"{KEY}_FILE": str(path)} if in_file else {KEY: text}
    assert life.start(GITHUB_PERSONAL_TOKEN="", GITHUB_APP_ID="1").wait() == 78
    assert (f"{KEY}_FILE: {path} is " if in_file else f"{KEY}: is ") in life.error()
    assert not any(line in life.output for line in text.splitlines() if "-----" not in line)
    assert path.exists()
    assert simulator.requests() == []


def test_vaults_are_no_ones_inheritance(life: Life, simulator: Simulator) -> None:
    """No process but PID 1 has a vault open while the runner waits for a job."""
    life.start()
    simulator.wait_for("listening")
    until(lambda: {"Runner.Listener", "gh-runner-log"} <= set(life.inside().values()))
    for pid in set(life.inside()) - {life.pid_1}:
        targets = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert not [target for target in targets if "memfd:secrets" in target]
