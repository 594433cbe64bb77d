"""Mistakes and foreign variables in an environment: how the real program judges them."""

from __future__ import annotations

import pwd
import socket
from pathlib import Path

import pytest

from simulator import Simulator
from tests.support import pki, wire
from tests.support.life import TOKEN, USER, Life
from tests.support.secrets import app_key

KUBERNETES = {
    "GITHUB_PORT": "tcp://10.96.0.7:443",
    "GITHUB_SERVICE_HOST": "10.96.0.7",
    "GITHUB_PORT_443_TCP_ADDR": "10.96.0.7",
    "RUNNER_OS": "Linux",
    "GITHUB_RUN_ID": "1",
}


def warnings(life: Life) -> list[str]:
    """Return the warnings in the log."""
    return [line["event"] for line in life.log if line["level"] == "warning"]


def test_a_guess_forbids_nothing(life: Life, simulator: Simulator) -> None:
    """Service links, GitHub's own variables and similar names do not prevent a start."""
    simulator.queue_job()
    life.env |= KUBERNETES
    assert life.start(RUNNER_LABLES="gpu").wait() == 0, life.output
    assert [w for w in warnings(life) if "not known" in w] == [
        "RUNNER_LABLES: is not known, did you mean RUNNER_LABELS?"
    ]


@pytest.mark.parametrize("command", ["run", "check", "sweep"])
def test_the_whole_organization_is_not_served_by_mistake(
    life: Life, simulator: Simulator, command: str
) -> None:
    """GITHUB_REPO beside GITHUB_OWNER is refused: a single repository must have been meant."""
    del life.env["GITHUB_REPOSITORY"]
    life.start(command, GITHUB_REPO="shop")
    assert life.wait() == 78, life.output
    assert "GITHUB_REPO: is not known, did you mean GITHUB_REPOSITORY?" in life.output
    assert simulator.requests() == []


@pytest.mark.parametrize("command", ["run", "check", "sweep"])
def test_no_token_goes_out_in_clear_text(life: Life, command: str) -> None:
    """Over http:// a host outside does not even get a connection."""
    life.start(command, GITHUB_API_URL="http://api.github.com")
    assert life.wait() == 78, life.output
    assert "GITHUB_API_URL: the credential would be sent unencrypted" in life.output


def test_clear_text_that_is_asked_for(life: Life, simulator: Simulator) -> None:
    """An Enterprise Server without TLS works if that is allowed, with a warning."""
    port = simulator.url.rpartition(":")[2]
    url = f"http://{socket.gethostname()}:{port}"
    simulator.queue_job()
    life.start(GITHUB_API_URL=url, GITHUB_ALLOW_HTTP="1", GITHUB_TIMEOUT="2", NO_PROXY="*")
    life.wait()
    assert "GITHUB_ALLOW_HTTP: the credential is sent to GitHub unencrypted" in warnings(life)


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    "password", ["Secret1word/more", "Secret1word#more", "Secret1word@more", "Secret1word[more"]
)
def test_a_password_that_is_not_encoded(
    life: Life, simulator: Simulator, command: str, password: str
) -> None:
    """An address that cannot be parsed is refused; the message shows the right form only."""
    life.start(command, HTTPS_PROXY=f"http://svc:{password}@h:3128")
    assert life.wait() == 78, life.output
    assert "HTTPS_PROXY: the user's name or password" in life.output
    assert "/ as %2F" in life.output
    assert "cret1wor" not in life.output
    assert simulator.requests() == []


def test_a_proxy_is_put_right(life: Life, simulator: Simulator) -> None:
    """Quotes and a missing http:// are corrected for all programs, jobs included."""
    job = simulator.queue_job("echo proxy:$HTTPS_PROXY")
    life.start(HTTPS_PROXY='"proxy.invalid:3128"')
    assert life.wait() == 0, life.output
    assert "proxy:http://proxy.invalid:3128" in simulator.job(job["id"])["log"]
    assert any(warning.startswith("HTTPS_PROXY: ") for warning in warnings(life))


def test_what_the_runner_passes_over_is_passed_over(life: Life, simulator: Simulator) -> None:
    """ALL_PROXY, which GitHub's runner does not read, is not used, and a warning says so."""
    simulator.queue_job()
    assert life.start(ALL_PROXY="socks5://127.0.0.1:1", NO_PROXY="*.corp;x").wait() == 0
    assert any(warning.startswith("ALL_PROXY: is passed over") for warning in warnings(life))
    assert any("NO_PROXY: '*.corp;x' matches nothing" in warning for warning in warnings(life))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
def test_authorities_by_any_name(life: Life, tmp_path: Path, variable: str) -> None:
    """Our own requests trust the authorities of a customary variable like RUNNER_CA_FILE's."""
    authority = pki.authority(tmp_path)
    with wire.server(wire.tls(authority.certify())) as port:
        url = f"https://127.0.0.1:{port}"
        life.start("check", GITHUB_API_URL=url, GITHUB_TIMEOUT="2")
        assert life.wait() == 78
        assert "not trusted" in life.output
        life.env[variable] = str(authority.path)
        life.start("check", GITHUB_API_URL=url, GITHUB_TIMEOUT="2")
        assert life.wait() == 75, life.output  # it hangs up without an answer
    assert "its authorities are trusted by every program here" in life.output


def test_jobs_trust_them_too(life: Life, simulator: Simulator, tmp_path: Path) -> None:
    """Jobs' programs get the authorities, whichever variable named them, and no key."""
    authority = pki.authority(tmp_path)
    with authority.path.open("a") as file:
        file.write(app_key())
    job = simulator.queue_job(
        "for f in $SSL_CERT_FILE $NODE_EXTRA_CA_CERTS $CURL_CA_BUNDLE; do"
        " echo $f $(grep -c BEGIN.CERT $f) keys: $(grep -c PRIVATE $f); done"
    )
    assert life.start(REQUESTS_CA_BUNDLE=str(authority.path)).wait() == 0, life.output
    said = simulator.job(job["id"])["log"]
    assert f"{life.directory}/state/ca.pem 1 keys: 0" in said
    assert said.count("keys: 0") == 3


def test_two_that_disagree(life: Life, simulator: Simulator, tmp_path: Path) -> None:
    """Two variables with different authorities are one error."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = pki.authority(tmp_path / "a"), pki.authority(tmp_path / "b")
    life.start(SSL_CERT_FILE=str(first.path), CURL_CA_BUNDLE=str(second.path))
    assert life.wait() == 78
    assert "SSL_CERT_FILE and CURL_CA_BUNDLE: name different authorities" in life.error()
    assert simulator.requests() == []


def test_a_token_that_jobs_see_is_told(life: Life, simulator: Simulator) -> None:
    """If another variable has the same token, which every job sees, there is a warning."""
    simulator.queue_job()
    assert life.start(GH_TOKEN=TOKEN).wait() == 0, life.output
    assert any(w.startswith("GH_TOKEN: holds the same as GITHUB_PERSONAL") for w in warnings(life))
    assert TOKEN not in life.output


def test_the_sample_as_it_is(life: Life, simulator: Simulator) -> None:
    """All placeholders of .env-example are reported at once."""
    life.start(
        GITHUB_OWNER="your-user-or-organization",
        GITHUB_REPOSITORY="your-repository",
        GITHUB_PERSONAL_TOKEN="ghp_put_your_token_here",
    )
    assert life.wait() == 78
    assert life.error().count("is still the placeholder of .env-example") == 3
    assert simulator.requests() == []


def test_a_level_by_another_name(life: Life, simulator: Simulator) -> None:
    """WARN, the usual name in many programs, is a level as well."""
    simulator.queue_job()
    assert life.start(RUNNER_LOG_LEVEL="WARN").wait() == 0, life.output
    assert life.log == []


def test_home_and_user_of_a_job(life: Life, simulator: Simulator) -> None:
    """A job has the home and the name of the runner's user, not those of the container."""
    job = simulator.queue_job('echo "$HOME,$USER,$LOGNAME,$JAVA_HOME,${RUNNER_SUDO-none}"')
    of_container = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "JAVA_HOME": "/opt/java"}
    assert life.start(**of_container, RUNNER_SUDO="0").wait() == 0, life.output
    user = pwd.getpwnam(USER)
    expected = f"{user.pw_dir},{USER},{USER},/opt/java,none"
    assert simulator.job(job["id"])["log"].strip() == expected


def test_the_locale_is_left_alone(life: Life, simulator: Simulator) -> None:
    """The listener, and so each job, gets no LC_CTYPE that was not set."""
    life.start()
    simulator.wait_for("session_opened")
    environ = Path(f"/proc/{life.pid_of('Runner.Listener')}/environ").read_bytes()
    assert b"HOME=" in environ
    assert b"LC_CTYPE" not in environ
    assert life.signal().wait() == 143
