"""A private certificate authority reaches everything that speaks TLS."""

import os
import ssl
import stat
from pathlib import Path

import pytest

from entrypoint.container import certificates
from entrypoint.errors import ExitCode, Failure
from entrypoint.settings.schema import Settings
from tests.support import fakehub, pki


@pytest.fixture
def authority(tmp_path: Path) -> pki.Authority:
    """A private authority."""
    return pki.authority(tmp_path)


def with_ca(authority: pki.Authority, state: Path) -> Settings:
    """Settings that name it."""
    return fakehub.parse({"RUNNER_CA_FILE": str(authority.path), "RUNNER_STATE_DIR": str(state)})


def test_nothing_is_set_without_one() -> None:
    """Without RUNNER_CA_FILE the environment stays as it is."""
    assert certificates.environment(fakehub.parse({})) == {}
    assert certificates.bundle(fakehub.parse({})) == ""


def test_the_bundle_holds_both(authority: pki.Authority, tmp_path: Path) -> None:
    """Programs that take one bundle trust the system's authorities and the private one."""
    environment = certificates.environment(with_ca(authority, tmp_path / "state"))
    system = ssl.create_default_context(cafile=certificates.system_bundle()).cert_store_stats()[
        "x509_ca"
    ]
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"):
        both = ssl.create_default_context(cafile=environment[variable])
        assert both.cert_store_stats()["x509_ca"] == system + 1


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system's directory of authorities, as update-ca-certificates makes it."""
    for name in ("002c0b4f.0", "002c0b4f.1", "bundle.crt"):
        (tmp_path / name).write_text("x" * (20 if name == "bundle.crt" else 10))
    (tmp_path / "One.pem").symlink_to("002c0b4f.0")
    monkeypatch.setattr(certificates, "_HASHED", str(tmp_path))
    monkeypatch.setattr(certificates, "_SYSTEM", (str(tmp_path / "bundle.crt"),))
    return tmp_path


def test_the_directory_is_as_good_as_the_bundle(system: Path) -> None:
    """Where it holds the same it is taken, since it need not be read."""
    assert certificates.system_authorities() == str(system)


@pytest.mark.parametrize("change", ["bundle is longer", "no hashes", "no directory"])
def test_the_bundle_counts(system: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority that was added to the bundle by hand is trusted."""
    match change:
        case "bundle is longer":
            (system / "bundle.crt").write_text("x" * 30)
        case "no hashes":
            (system / "002c0b4f.0").unlink()
            (system / "002c0b4f.1").unlink()
        case _:
            monkeypatch.setattr(certificates, "_HASHED", str(system / "none"))
    assert certificates.system_authorities() == str(system / "bundle.crt")


def test_node_gets_the_private_one(authority: pki.Authority, tmp_path: Path) -> None:
    """Node, which adds to its own list, gets no more than the private authority."""
    environment = certificates.environment(with_ca(authority, tmp_path / "state"))
    assert Path(environment["NODE_EXTRA_CA_CERTS"]).read_bytes() == authority.path.read_bytes()


def test_every_user_can_read_them(authority: pki.Authority, tmp_path: Path) -> None:
    """Listener and jobs can read the files, whatever the umask and the mode of the original."""
    authority.path.chmod(0o600)
    umask = os.umask(0o077)
    try:
        environment = certificates.environment(with_ca(authority, tmp_path / "state"))
    finally:
        os.umask(umask)
    modes = {stat.S_IMODE(os.stat(path).st_mode) for path in environment.values()}
    assert modes == {0o644}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755


def test_it_can_be_done_again(authority: pki.Authority, tmp_path: Path) -> None:
    """A second process that writes the files leaves them whole, and nothing else behind."""
    settings = with_ca(authority, tmp_path / "state")
    assert certificates.bundle(settings) == certificates.bundle(settings)
    assert sorted(os.listdir(tmp_path / "state")) == ["ca-bundle.pem", "ca.pem"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "holds no certificate"),
        ("not a certificate", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be used"),
    ],
)
def test_a_bad_file(tmp_path: Path, content: str | None, words: str) -> None:
    """A file that is not there, or holds no certificate, is a wrong setting."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Failure, match=words) as failure:
        fakehub.parse({"RUNNER_CA_FILE": str(path)})
    assert failure.value.code is ExitCode.CONFIG
    assert "RUNNER_CA_FILE" in failure.value.message


def test_a_state_directory_that_is_none(authority: pki.Authority) -> None:
    """Where the bundle cannot be written, the failure names the setting."""
    with pytest.raises(Failure, match="RUNNER_CA_FILE: /dev/null") as failure:
        certificates.bundle(with_ca(authority, Path("/dev/null/state")))
    assert "RUNNER_STATE_DIR" in failure.value.hint
