"""`config.sh` registers this runner; `config.sh remove` takes it off the list."""

import os

from . import identity
from .github import GitHub
from .program import pause

TYPE_CHECKING = False  # importing `typing` costs 8 ms
if TYPE_CHECKING:
    from typing import Any

    from .options import Options
    from .program import Settings, Terminal

CONFIGURED = (
    "Cannot configure the runner because it is already configured. To reconfigure the runner,"
    " run 'config.cmd remove' or './config.sh remove' first."
)
NO_LABELS = (
    "Disabling default labels via --no-default-labels without specifying --labels is not supported"
)
MISSING = (
    "Cannot connect to server, because config files are missing."
    " Skipping removing runner from the server."
)
DEFAULT_LABELS = ("self-hosted", "Linux", "X64")
SERVICE_MODE = 0o755


class Configuration:
    """Both commands; a failure is a ValueError or an OSError."""

    def __init__(
        self, root: str, settings: "Settings", terminal: "Terminal", options: "Options"
    ) -> None:
        self._settings = settings
        self._terminal = terminal
        self._options = options
        self._identity = identity.Identity(root)
        self._root = root

    def configure(self) -> None:
        """Register the runner, then write its record."""
        self._terminal.line(BANNER)
        if self._identity.is_configured():
            raise ValueError(CONFIGURED)
        self._terminal.section("Authentication")
        pause(self._settings.configure_start)
        url = self._options.required("url")
        github = GitHub(self._settings, self._terminal, url)
        github.token = self._token(github, "registration")
        github.announce()
        self._terminal.line()
        self._terminal.success("Connected to GitHub")
        key = os.urandom(32).hex()
        self._identity.save_key(key)
        self._terminal.section("Runner Registration")
        group = self._group(github)
        runner = self._register(github, group, key)
        pause(self._settings.configure_record)
        self._record(url, group, runner)

    def remove(self) -> None:
        """Take the runner off the list, then delete its files."""
        if self._options.flag("local"):
            self._identity.delete(self._terminal)
            return
        self._terminal.section("Runner removal")
        action = "Removing runner from the server"
        try:
            if os.path.exists(self._root + "/.service"):
                action = "Removing service"
                raise ValueError("Uninstall service first")
            self._remove_from_server()
            self._identity.delete(self._terminal)
        except (OSError, ValueError):
            self._terminal.error("Failed: " + action)
            raise
        self._terminal.line()

    def _remove_from_server(self) -> None:
        if not (self._identity.is_configured() and self._identity.has_credentials()):
            self._terminal.line(MISSING)
            return
        pause(self._settings.remove)
        saved = self._identity.settings()
        github = GitHub(self._settings, self._terminal, saved["githuburl"])
        github.token = self._token(github, "remove")
        github.remove(int(saved["agentid"]))
        self._terminal.line()
        self._terminal.success("Runner removed successfully")

    def _token(self, github: GitHub, kind: str) -> str:
        pat = self._options.value("pat")
        return github.fetch_token(pat, kind) if pat else self._options.required("token")

    def _group(self, github: GitHub) -> "dict[str, Any]":
        groups = github.groups()
        default = next((group["name"] for group in groups if group["default"]), "")
        wanted = self._options.value("runnergroup", default)
        for group in groups:
            if group["name"].lower() == wanted.lower():
                return group
        raise ValueError(f'Could not find any self-hosted runner group named "{wanted}".')

    def _register(self, github: GitHub, group: "dict[str, Any]", key: str) -> "dict[str, Any]":
        name = self._options.value("name", os.uname().nodename)
        labels = self._labels()
        exists = bool(github.named(name))
        if exists:
            self._terminal.line("A runner exists with the same name")
            if not self._options.flag("replace"):
                raise ValueError(f"A runner exists with the same name {name}.")
        runner = github.register(
            {
                "group_id": group["id"],
                "name": name,
                "version": self._settings.version,
                "ephemeral": self._options.flag("ephemeral"),
                "labels": labels,
                "public_key": key,
                "replace": exists,
            }
        )
        done = "Successfully replaced the runner" if exists else "Runner successfully added"
        self._terminal.success(done)
        return runner

    def _labels(self) -> "list[dict[str, str]]":
        given = self._options.value("labels").split(",")
        if any(len(label) > 256 for label in given):
            given = []
        unique = list({label.lower(): label for label in reversed(given) if label}.values())
        own = [{"name": label, "type": "user"} for label in reversed(unique)]
        if self._options.flag("no-default-labels"):
            if not own:
                raise ValueError(NO_LABELS)
            return own
        return [{"name": label, "type": "system"} for label in DEFAULT_LABELS] + own

    def _record(self, url: str, group: "dict[str, Any]", runner: "dict[str, Any]") -> None:
        grant = runner["authorization"]
        data = {
            "clientId": grant["client_id"],
            "authorizationUrl": grant["authorization_url"],
            "requireFipsCryptography": "True",
        }
        self._identity.save(identity.CREDENTIALS, {"scheme": "OAuth", "data": data})
        self._terminal.section("Runner settings")
        settings = self._runner_settings(url, group, runner)
        # The real one leaves out what is false.
        kept = {name: value for name, value in settings.items() if value is not False}
        self._identity.save(identity.SETTINGS, kept)
        self._terminal.line()
        self._terminal.success("Settings Saved.")
        self._terminal.line()
        self._write_service_script()
        pause(self._settings.configure_end)

    def _runner_settings(
        self, url: str, group: "dict[str, Any]", runner: "dict[str, Any]"
    ) -> "dict[str, Any]":
        server_url = runner["authorization"]["server_url"]
        return {
            "agentId": runner["id"],
            "agentName": runner["name"],
            "poolId": group["id"],
            "poolName": group["name"],
            "disableUpdate": self._options.flag("disableupdate"),
            "ephemeral": self._options.flag("ephemeral"),
            "serverUrl": server_url,
            "gitHubUrl": url,
            "workFolder": self._options.value("work", "_work"),
            "useV2Flow": True,
            "useRunnerAdminFlow": True,
            "serverUrlV2": server_url,
        }

    def _write_service_script(self) -> None:
        with open(self._root + "/bin/systemd.svc.sh.template", "rb") as file:
            content = file.read()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open(self._root + "/svc.sh", flags, SERVICE_MODE)
        os.write(fd, content)
        os.close(fd)


BANNER = """
--------------------------------------------------------------------------------
|        ____ _ _   _   _       _          _        _   _                      |
|       / ___(_) |_| | | |_   _| |__      / \\   ___| |_(_) ___  _ __  ___      |
|      | |  _| | __| |_| | | | | '_ \\    / _ \\ / __| __| |/ _ \\| '_ \\/ __|     |
|      | |_| | | |_|  _  | |_| | |_) |  / ___ \\ (__| |_| | (_) | | | \\__ \\     |
|       \\____|_|\\__|_| |_|\\__,_|_.__/  /_/   \\_\\___|\\__|_|\\___/|_| |_|___/     |
|                                                                              |
|                       Self-hosted runner registration                        |
|                                                                              |
--------------------------------------------------------------------------------"""
