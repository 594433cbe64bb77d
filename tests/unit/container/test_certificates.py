"""A private certificate authority reaches every program that speaks TLS."""

import os
import ssl
import stat
from pathlib import Path

import pytest

from entrypoint.container import certificates
from entrypoint.errors import Failure
from tests.support import pki
from tests.support.secrets import app_key


@pytest.fixture
def authority(tmp_path: Path) -> pki.Authority:
    """Make a private authority."""
    return pki.authority(tmp_path)


def with_ca(authority: pki.Authority, state: Path) -> tuple[str, str]:
    """Return the certificate's file and the state directory."""
    return str(authority.path), str(state)


def test_nothing_is_set_without_one() -> None:
    """Without RUNNER_CA_FILE the environment does not change."""
    assert certificates.environment("", "/nowhere") == {}
    assert certificates.bundle("", "/nowhere") == ""


def test_the_bundle_holds_both(authority: pki.Authority, tmp_path: Path) -> None:
    """The bundle has the system's authorities and the private one."""
    environment = certificates.environment(*with_ca(authority, tmp_path / "state"))
    system = ssl.create_default_context(cafile=certificates.system_bundle()).cert_store_stats()[
        "x509_ca"
    ]
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"):
        both = ssl.create_default_context(cafile=environment[variable])
        assert both.cert_store_stats()["x509_ca"] == system + 1


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory of authorities as update-ca-certificates does."""
    for name in ("002c0b4f.0", "002c0b4f.1", "bundle.crt"):
        (tmp_path / name).write_text("x" * (20 if name == "bundle.crt" else 10))
    (tmp_path / "One.pem").symlink_to("002c0b4f.0")
    monkeypatch.setattr(certificates, "_HASHED", str(tmp_path))
    monkeypatch.setattr(certificates, "_SYSTEM", (str(tmp_path / "bundle.crt"),))
    return tmp_path


def test_the_directory_is_as_good_as_the_bundle(system: Path) -> None:
    """If the directory has the bundle's authorities, it is used: it is not read as a whole."""
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
    """Node has a list of its own, and gets the private authority only."""
    environment = certificates.environment(*with_ca(authority, tmp_path / "state"))
    assert Path(environment["NODE_EXTRA_CA_CERTS"]).read_bytes() == authority.path.read_bytes()


def test_every_user_can_read_them(authority: pki.Authority, tmp_path: Path) -> None:
    """Every user can read the files, whatever the umask and the mode of the original."""
    authority.path.chmod(0o600)
    umask = os.umask(0o077)
    try:
        environment = certificates.environment(*with_ca(authority, tmp_path / "state"))
    finally:
        os.umask(umask)
    modes = {stat.S_IMODE(os.stat(path).st_mode) for path in environment.values()}
    assert modes == {0o644}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755


def test_it_can_be_done_again(authority: pki.Authority, tmp_path: Path) -> None:
    """Made a second time, the files are complete, and there are no others."""
    settings = with_ca(authority, tmp_path / "state")
    assert certificates.bundle(*settings) == certificates.bundle(*settings)
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
    """A file that is missing or holds no certificate is a wrong setting."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    [problem] = certificates.choose({"RUNNER_CA_FILE": str(path)}).problems
    assert problem.startswith(f"RUNNER_CA_FILE: {path} cannot be used: ")
    assert words in problem


CUSTOMARY = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
]


@pytest.mark.parametrize("variable", CUSTOMARY)
def test_each_customary_variable_is_as_good(authority: pki.Authority, variable: str) -> None:
    """Each customary variable makes all programs trust its authorities, and a line says so."""
    chosen = certificates.choose({variable: str(authority.path)})
    assert chosen.path == str(authority.path)
    assert chosen.notes == [
        f"{variable}: its authorities are trusted by every program here, beside the system's"
    ]


def test_a_directory_of_authorities(authority: pki.Authority, tmp_path: Path) -> None:
    """The authorities in SSL_CERT_DIR's directories are for all programs, too."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    (folder / "one.pem").write_bytes(authority.path.read_bytes())
    # Other things that lie beside certificates, as in Debian's /etc/ssl/certs.
    (folder / "java").mkdir()
    (folder / "gone.pem").symlink_to("nowhere")
    (folder / "README").write_text("how to add one")
    (folder / "broken.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    for path in (str(folder), f"{folder}:/nonexistent:{folder}"):
        chosen = certificates.choose({"SSL_CERT_DIR": path})
        assert (chosen.path, chosen.problems) == (path, [])
        bundle = certificates.bundle(path, str(tmp_path))
        assert authority.path.read_bytes().strip() in Path(bundle).read_bytes()
    assert certificates.choose({"SSL_CERT_DIR": "/nonexistent:/nowhere"}).problems


PROGRAMS = ["PIP_CERT", "AWS_CA_BUNDLE", "NIX_SSL_CERT_FILE", "npm_config_cafile"]


@pytest.mark.parametrize("variable", PROGRAMS)
def test_what_one_program_is_told(authority: pki.Authority, tmp_path: Path, variable: str) -> None:
    """A variable of one program counts if no other names an authority; it causes no error."""
    assert certificates.choose({variable: str(authority.path)}).path == str(authority.path)
    (tmp_path / "other").mkdir()
    other = str(pki.authority(tmp_path / "other").path)
    beside = certificates.choose({variable: other, "SSL_CERT_FILE": str(authority.path)})
    assert (beside.path, beside.problems) == (str(authority.path), [])
    [note] = certificates.choose({variable: other, "DENO_CERT": str(authority.path)}).notes
    assert "name different authorities, each for a program of its own" in note
    gone = certificates.choose({variable: "/nonexistent"})
    assert (gone.path, gone.problems) == ("", [])
    assert "cannot be used" in gone.notes[0]


def test_the_systems_own_are_nothing_new(authority: pki.Authority) -> None:
    """A variable that names the system's bundle, as in many images, changes nothing."""
    system = certificates.system_bundle()
    assert certificates.choose({"SSL_CERT_FILE": system})[:3] == ("", [], [])
    both = {"SSL_CERT_FILE": system, "NODE_EXTRA_CA_CERTS": str(authority.path)}
    assert certificates.choose(both).path == str(authority.path)


def test_two_that_agree(authority: pki.Authority, tmp_path: Path) -> None:
    """A bundle with the system's authorities and the private one agrees with the private one."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(
        Path(certificates.system_bundle()).read_bytes()
        + b"# ours\r\n"
        + authority.path.read_bytes()
    )
    both = {"REQUESTS_CA_BUNDLE": str(bundle), "RUNNER_CA_FILE": str(authority.path)}
    assert certificates.choose(both)[:3] == (str(authority.path), [], [])


def test_two_that_disagree(authority: pki.Authority, tmp_path: Path) -> None:
    """If two variables disagree, one error names both."""
    (tmp_path / "other").mkdir()
    other = pki.authority(tmp_path / "other").path
    both = {"SSL_CERT_FILE": str(authority.path), "CURL_CA_BUNDLE": str(other)}
    [problem] = certificates.choose(both).problems
    assert problem.startswith("SSL_CERT_FILE and CURL_CA_BUNDLE: name different authorities")


def test_no_key_is_republished(authority: pki.Authority, tmp_path: Path) -> None:
    """If a file also has a key, only its certificates become readable for all."""
    key = app_key()
    with authority.path.open("a") as file:
        file.write(key)
    authority.path.chmod(0o600)
    environment = certificates.environment(*with_ca(authority, tmp_path / "state"))
    for path in {*environment.values()}:
        content = Path(path).read_text()
        assert "PRIVATE" not in content
        assert [line for line in key.splitlines() if line in content] == []


@pytest.mark.timeout(20)
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """A pipe without a writer does not hold up the start."""
    os.mkfifo(tmp_path / "ca")
    [problem] = certificates.choose({"SSL_CERT_FILE": str(tmp_path / "ca")}).problems
    assert "no plain file" in problem


def test_a_link_in_the_way_is_not_followed(authority: pki.Authority, tmp_path: Path) -> None:
    """A link in place of the new file is replaced, and its target is not written."""
    state, victim = tmp_path / "state", tmp_path / "victim"
    state.mkdir()
    victim.write_text("untouched")
    for name in ("ca.pem", "ca-bundle.pem"):
        (state / f"{name}.{os.getpid()}").symlink_to(victim)
    certificates.bundle(*with_ca(authority, state))
    assert victim.read_text() == "untouched"


def test_a_state_directory_that_is_none(authority: pki.Authority) -> None:
    """If the bundle cannot be written, the failure names the setting."""
    with pytest.raises(Failure, match="RUNNER_CA_FILE: /dev/null") as failure:
        certificates.bundle(*with_ca(authority, Path("/dev/null/state")))
    assert "RUNNER_STATE_DIR" in failure.value.hint
