"""The probe finds a secret in every place and in every form."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

from tests.probe import probe
from tests.probe.cage import PYTHON
from tests.probe.looks import results
from tests.support.life import NAMESPACE

ROOT = Path(__file__).parents[2]
PLACES = {
    "memory": "mem of PID 1",
    "file": "{}/hidden",
    "deleted file": "fd of PID 1",
    "memfd": "fd of PID 1",
    "key": "keyring",
    "shared memory": "shared memory",
    "argv": "cmdline of sh",
    "environment": "environ of sh",
}


def test_every_place_and_form(tmp_path: Path) -> None:
    """Each secret is found in its place, and the one in memory in each of its forms."""
    needles = {name: f"ghp_{secrets.token_hex(18)}+/=" for name in PLACES}
    probe.write(str(tmp_path / "needles"), needles)
    look: list[str | Path] = [PYTHON, probe.__file__, tmp_path / "needles", tmp_path]
    hide: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.probe.victim",
        tmp_path / "needles",
        tmp_path,
        *look,
    ]
    output = subprocess.run(
        [*NAMESPACE, *hide], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    [told] = results(output)
    wanted = {(name, place.format(tmp_path)) for name, place in PLACES.items()}
    assert wanted - told.found == set()
    assert {form for name, form in told.forms if name == "memory"} == {
        *("plain", "URL", "UTF-16"),
        *(f"{kind}+{offset}" for kind in ("base64", "base64url") for offset in range(3)),
    }
