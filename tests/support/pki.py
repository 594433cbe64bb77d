"""A certificate authority and certificates of servers, made for one run of the tests."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_AUTHORITY = "gh-runner tests"
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A private certificate authority; `path` is its PEM file."""

    path: Path
    key: ec.EllipticCurvePrivateKey

    def certify(self, host: str = "127.0.0.1", *, days: tuple[int, int] = (-1, 1)) -> Path:
        """Make key and certificate of a server in one file, valid within the given days."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(host))]
            if host[0].isdigit()
            else [x509.DNSName(host)]
        )
        certificate = _builder(host, key, days).add_extension(alternative, critical=False)
        path = self.path.with_name(f"{host}{days[0]}{days[1]}.pem")
        path.write_bytes(
            _pem(key) + certificate.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        )
        return path


def authority(folder: Path) -> Authority:
    """Make an authority and write its certificate into the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_AUTHORITY, key, (-400, 400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "authority.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return Authority(path, key)


def _builder(
    name: str, key: ec.EllipticCurvePrivateKey, days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(_AUTHORITY))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
