"""The control API tells what has happened; the server says how it is reached."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator import Simulator
from tests.simulator.api import PAT, Call
from tests.support.life import until


def test_the_log_of_requests_keeps_no_secret(simulator: Simulator, call: Call) -> None:
    """It has the names of the headers, and of a token its scheme only."""
    call("GET", "repos/acme/shop/actions/runners", params={"name": "x"})
    (entry,) = simulator.requests()
    assert (entry["method"], entry["status"], entry["query"]) == ("GET", 200, "name=x")
    assert "Authorization" in entry["headers"]
    assert entry["scheme"] == "bearer"
    assert PAT not in str(entry)


def test_an_event_is_awaited_not_polled_for(simulator: Simulator) -> None:
    """A client that waits is woken by the event, or told after its time that there is none."""
    timer = threading.Timer(0.05, simulator.queue_job, kwargs={"name": "later"})
    timer.start()
    assert simulator.wait_for("job_queued", job="later")["id"] > 0
    timer.join()
    with pytest.raises(TimeoutError):
        simulator.wait_for("job_completed", timeout=0.05)


def test_the_server_speaks_tls_as_well(tmp_path: Path, private_key: rsa.RSAPrivateKey) -> None:
    """With a certificate it listens on a second port."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private_key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private_key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    with Simulator("--certificate", str(pem)) as simulator:
        url = f"https://localhost:{simulator.tls_port}/meta"
        assert requests.get(url, verify=str(pem), timeout=30).status_code == 200


def test_the_server_tells_a_file_when_it_is_ready(tmp_path: Path) -> None:
    """The file appears complete, and the server ends at SIGTERM."""
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "simulator", "serve", "--ready-file", str(ready)]
    with subprocess.Popen(command) as process:
        assert until(ready.exists)
        url = json.loads(ready.read_text())["url"]
        assert requests.get(f"{url}/meta", timeout=30).status_code == 200
        process.terminate()
    assert process.returncode == 0


def test_a_reset_ends_what_is_under_way(simulator: Simulator, call: Call) -> None:
    """A slow request of one test changes nothing in the next one."""
    simulator.fault(path="/registration-token$", hold="request")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(call, "POST", "repos/acme/shop/actions/runners/registration-token")
        simulator.wait_for("fault")
        simulator.reset()
        with pytest.raises(requests.ConnectionError):
            slow.result()
    assert [event["kind"] for event in simulator.events()] == ["reset"]
    assert simulator.tokens() == {"installation": []}


def test_the_control_api_refuses_what_it_does_not_know(simulator: Simulator) -> None:
    """A misspelt field is refused, and not passed over."""
    with pytest.raises(RuntimeError, match="nonsense"):
        simulator.fault(nonsense=1)
    with pytest.raises(RuntimeError, match="refusal is one of"):
        simulator.fault(refusal="nonsense")
