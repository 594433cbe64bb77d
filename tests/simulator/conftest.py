"""A REST client that knows GitHub's description, and homes of runners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator import Simulator
from tests.simulator.api import PAT, Call
from tests.simulator.home import RunnerHome
from tests.support import contract
from tests.support.life import directory


@pytest.fixture
def make(simulator: Simulator) -> Iterator[Callable[..., RunnerHome]]:
    """Return a maker of homes; every process of theirs ends with the test."""
    homes: list[RunnerHome] = []
    with directory() as path:

        def make_home(**options: Any) -> RunnerHome:
            homes.append(RunnerHome(simulator, path / str(len(homes)), **options))
            return homes[-1]

        yield make_home
        for home in homes:
            home.end()


@pytest.fixture
def home(make: Callable[..., RunnerHome]) -> RunnerHome:
    """Return the home of a runner that is not registered."""
    return make()


@pytest.fixture
def call(simulator: Simulator) -> Call:
    """Return a function that sends a request and checks it against GitHub's description."""

    def send(method: str, path: str, token: str = PAT, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        url = f"{simulator.url}/{path}"
        with requests.request(method, url, headers=headers, timeout=30, **options) as response:
            sent = str(response.request.url)
            enterprise = sent.startswith(f"{simulator.url}/api/v3")
            host = "https://ghe.example.com" if enterprise else "https://api.github.com"
            response.request.url = sent.replace(simulator.url, host)
            return contract.keep(response) if options.get("data") is None else response

    return send


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    """Return the key of an App."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
