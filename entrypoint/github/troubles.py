"""What goes wrong before GitHub answers: names, routes, certificates, proxies.

The first rows of the table in refusals.py; see there.
"""

from __future__ import annotations

from collections.abc import Callable

from entrypoint.errors import ExitCode
from entrypoint.github.answer import Answer, Asked, Refusal, Retry


def _trouble(kind: str) -> Callable[[Answer, Asked], bool]:
    return lambda answer, _: answer.trouble == kind


TROUBLES = (
    Refusal(
        "name resolution",
        _trouble("dns"),
        "the name of the API's host could not be resolved",
        "check the container's DNS, and GITHUB_HOST, GITHUB_URL or GITHUB_API_URL for a misspelt"
        " host; behind a proxy set HTTPS_PROXY",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "clock",
        _trouble("clock"),
        "the server's certificate is not yet valid, or has expired",
        "compare the clock of this machine with the true time; if it is right, the server's"
        " certificate must be renewed",
        ExitCode.CONFIG,
    ),
    Refusal(
        "certificate",
        _trouble("tls"),
        "the TLS certificate of the server, or of a proxy before it, is not trusted",
        "name the PEM file of the certificate authority in RUNNER_CA_FILE (it wins over"
        " REQUESTS_CA_BUNDLE)",
        ExitCode.CONFIG,
    ),
    Refusal(
        "certificate's name",
        _trouble("hostname"),
        "the server's certificate is for another host",
        "the name that was asked for must be one that the certificate holds: check GITHUB_HOST,"
        " GITHUB_URL, GITHUB_API_URL, and what DNS and proxy make of {host}",
        ExitCode.CONFIG,
    ),
    Refusal(
        "proxy's address",
        _trouble("proxy address"),
        "the address of the proxy, or of GitHub, cannot be used",
        "HTTPS_PROXY and HTTP_PROXY take http://HOST:PORT (SOCKS is not supported)",
        ExitCode.CONFIG,
    ),
    Refusal(
        "proxy log-in",
        lambda answer, _: answer.trouble == "proxy login" or answer.status == 407,
        "407: the proxy asks for a user name and password",
        "write them into HTTPS_PROXY, as in http://USER:PASSWORD@HOST:PORT, or name GitHub's"
        " hosts in NO_PROXY",
        ExitCode.CONFIG,
    ),
    Refusal(
        "proxy",
        _trouble("proxy"),
        "the proxy cannot be reached, or does not let this connection through",
        "check HTTPS_PROXY and HTTP_PROXY, ask the proxy's operator to allow {host}, or name it"
        " in NO_PROXY",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "time-out",
        _trouble("timeout"),
        "no answer in time",
        "check firewall and routes to {host}, or set HTTPS_PROXY; GITHUB_TIMEOUT is how long to"
        " try; https://www.githubstatus.com tells whether GitHub has trouble itself",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
    Refusal(
        "no connection",
        lambda answer, _: answer.status == 0,
        "no route, connection refused, or connection lost",
        "check firewall and routes to {host}, or set HTTPS_PROXY if there is a proxy",
        ExitCode.RETRY,
        Retry.BACKOFF,
    ),
)
