"""The files of a registration."""

import os

from . import codec

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .program import Terminal

SETTINGS = ".runner"
CREDENTIALS = ".credentials"
KEY = ".credentials_rsaparams"
HOSTED = ("github.com", "www.github.com")


class Identity:
    """The files of a registration in the root folder of the runner."""

    def __init__(self, root: str) -> None:
        self.root = root

    def is_configured(self) -> bool:
        """Return whether the runner counts as configured."""
        return self._has(SETTINGS) or self._has(".runner_migrated")

    def has_credentials(self) -> bool:
        """Return whether the credentials are there."""
        return self._has(CREDENTIALS)

    def save(self, name: str, value: "dict[str, Any]") -> None:
        """Write a file as `config.sh` does: with a byte order mark."""
        with open(f"{self.root}/{name}", "wb") as file:
            file.write(codec.BOM + codec.dumps(value).encode())

    def save_key(self, key: str) -> None:
        """Write the key, so that only its owner can read it."""
        path = f"{self.root}/{KEY}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.write(fd, codec.dumps({"d": key}).encode())
        os.close(fd)

    def save_jit(self, encoded: str) -> None:
        """Write the files of a JIT configuration; ValueError if it is none."""
        for name, content in codec.loads(_decode(encoded).decode()).items():
            with open(f"{self.root}/{name}", "wb") as file:
                file.write(_decode(content))

    def settings(self) -> "dict[str, Any]":
        """Return `.runner` with its keys in lower case: JIT writes AgentId, config.sh agentId."""
        return self._load(SETTINGS if self._has(SETTINGS) else ".runner_migrated")

    def client(self) -> tuple[str, str]:
        """Return the client id and the key; ValueError, KeyError or OSError if unusable."""
        data = self._load(CREDENTIALS)["data"]
        return str(_lower(data)["clientid"]), str(self._load(KEY)["d"])

    def delete(self, terminal: "Terminal") -> None:
        """Delete the files and say so; `.env`, `.path`, `_diag` and `_work` stay."""
        configured = self.is_configured()
        self._delete(terminal, CREDENTIALS, self.has_credentials(), (CREDENTIALS, KEY))
        self._delete(terminal, SETTINGS, configured, (SETTINGS, ".runner_migrated"))

    def _delete(self, terminal: "Terminal", what: str, found: bool, names: tuple[str, ...]) -> None:
        if not found:
            terminal.line("Does not exist. Skipping Removing " + what)
            return
        for name in names:
            if self._has(name):
                os.unlink(f"{self.root}/{name}")
        terminal.success("Removed " + what)

    def _has(self, name: str) -> bool:
        return os.path.exists(f"{self.root}/{name}")

    def _load(self, name: str) -> "dict[str, Any]":
        with open(f"{self.root}/{name}", "rb") as file:
            return _lower(codec.loads(file.read().removeprefix(codec.BOM).decode()))


def _lower(value: "dict[str, Any]") -> "dict[str, Any]":
    return {key.lower(): item for key, item in value.items()}


def _decode(text: str) -> bytes:
    from binascii import a2b_base64  # noqa: PLC0415  # only a JIT configuration needs it

    return a2b_base64(text)


def is_true(value: object) -> bool:
    """Return whether a setting is true; it is `true` from config.sh, "True" from JIT."""
    return str(value).lower() == "true"


def scope_of(url: str) -> str:
    """Return the REST scope of a URL, e.g. repos/acme/shop; ValueError if it has none."""
    path = [part for part in url.partition("://")[2].partition("/")[2].split("/") if part]
    if len(path) == 1:
        return "orgs/" + path[0]
    if len(path) == 2:
        return ("" if path[0].lower() == "enterprises" else "repos/") + "/".join(path)
    raise ValueError(f"'{url}' should point to an org or repository.")


def api_prefix(url: str) -> str:
    """Return the path of the API of a URL's host: "", or /api/v3 for an Enterprise Server."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    forced = os.environ.get("GITHUB_ACTIONS_RUNNER_FORCE_GHES", "")
    hosted = host in HOSTED or host.endswith(".ghe.com")
    return "" if hosted and not forced else "/api/v3"
