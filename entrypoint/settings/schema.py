"""Every setting, once: its variable, its default, its parser and its sentence in the docs.

A new setting is one more field of `Settings`. sources.py collects the values, parsers.py reads
each of them, and rules.py checks them together.
"""

import os
from collections.abc import MutableMapping
from typing import Annotated, Any, NamedTuple

from entrypoint.settings import parsers
from entrypoint.settings.parsers import Parser
from entrypoint.settings.target import Target, target
from entrypoint.vault import ALIASES, SECRETS


class Setting(NamedTuple):
    """The declaration of one setting; the default is a text, as an operator would write it."""

    variable: str
    default: str
    parse: Parser
    about: str


class Settings(NamedTuple):
    """What the operator wants. It is made once, never changed, and holds no secret."""

    owner: Annotated[
        str, Setting("GITHUB_OWNER", "", parsers.name, "user or organization that owns the runner")
    ]
    repository: Annotated[
        str,
        Setting(
            "GITHUB_REPOSITORY",
            "",
            parsers.repository,
            "repository of that owner; empty: all of them",
        ),
    ]
    enterprise: Annotated[
        str,
        Setting(
            "GITHUB_ENTERPRISE", "", parsers.name, "enterprise that owns it, instead of an owner"
        ),
    ]
    url: Annotated[
        str,
        Setting(
            "GITHUB_URL",
            "",
            parsers.optional(parsers.page),
            "page of the repository, organization or enterprise: enough without any other name",
        ),
    ]
    host: Annotated[str, Setting("GITHUB_HOST", "github.com", parsers.host, "GitHub's host")]
    api_url: Annotated[
        str,
        Setting(
            "GITHUB_API_URL", "", parsers.url, "URL of the REST API; empty: derived from the host"
        ),
    ]
    allow_http: Annotated[
        bool,
        Setting(
            "GITHUB_ALLOW_HTTP",
            "0",
            parsers.flag,
            "send the credential unencrypted, to an Enterprise Server without TLS",
        ),
    ]
    ca_file: Annotated[
        str,
        Setting(
            "RUNNER_CA_FILE",
            "",
            parsers.optional(parsers.path),
            "certificate authorities (PEM) to trust as well",
        ),
    ]
    app_id: Annotated[
        str, Setting("GITHUB_APP_ID", "", parsers.name, "id or client id of a GitHub App")
    ]
    app_installation_id: Annotated[
        int,
        Setting(
            "GITHUB_APP_INSTALLATION_ID",
            "0",
            parsers.count,
            "installation of that App; 0: found by itself",
        ),
    ]
    registration: Annotated[
        str,
        Setting(
            "RUNNER_REGISTRATION",
            "config",
            parsers.choice("config", "jit"),
            "how to register: by config.sh, or by a just-in-time configuration, which is faster",
        ),
    ]
    name: Annotated[
        str,
        Setting(
            "RUNNER_NAME",
            "",
            parsers.text,
            "runner name; empty: the host name. A random suffix is added",
        ),
    ]
    labels: Annotated[
        tuple[str, ...], Setting("RUNNER_LABELS", "", parsers.labels, "labels, separated by commas")
    ]
    group: Annotated[
        str, Setting("RUNNER_GROUP", "", parsers.text, "runner group; empty: the default group")
    ]
    workdir: Annotated[
        str, Setting("RUNNER_WORKDIR", "_work", parsers.text, "work folder of the jobs")
    ]
    user: Annotated[str, Setting("RUNNER_USER", "runner", parsers.text, "user that jobs run as")]
    home: Annotated[
        str, Setting("RUNNER_HOME", "/home/runner", parsers.path, "directory of GitHub's runner")
    ]
    ephemeral: Annotated[
        bool, Setting("RUNNER_EPHEMERAL", "1", parsers.flag, "one job, then leave")
    ]
    disable_update: Annotated[
        bool,
        Setting("RUNNER_DISABLE_UPDATE", "1", parsers.flag, "do not let the runner replace itself"),
    ]
    no_default_labels: Annotated[
        bool,
        Setting(
            "RUNNER_NO_DEFAULT_LABELS",
            "0",
            parsers.flag,
            "leave out self-hosted, Linux and X64 or ARM64",
        ),
    ]
    version: Annotated[
        str,
        Setting(
            "RUNNER_VERSION", "", parsers.text, "version of GitHub's runner; the image knows it"
        ),
    ]
    released: Annotated[
        str,
        Setting(
            "RUNNER_RELEASED",
            "",
            parsers.optional(parsers.day),
            "day of that version's release, as 2026-01-31; the image knows it",
        ),
    ]
    envfile: Annotated[
        str,
        Setting(
            "RUNNER_ENVFILE", "", parsers.text, "env file, deleted once read; beats the environment"
        ),
    ]
    keep_credential: Annotated[
        str,
        Setting(
            "RUNNER_CREDENTIAL",
            "until-exit",
            parsers.choice("until-exit", "until-job"),
            "how long the credential is kept; until-job: it is gone before a job's first step",
        ),
    ]
    engine: Annotated[
        str,
        Setting(
            "RUNNER_ENGINE",
            "none",
            parsers.choice("none", "auto", "docker", "podman"),
            "container engine for jobs; auto, set by the image: a mounted one, docker or podman",
        ),
    ]
    engine_cleanup: Annotated[
        bool,
        Setting(
            "RUNNER_ENGINE_CLEANUP",
            "1",
            parsers.flag,
            "remove what the job has left on an engine that is shared",
        ),
    ]
    engine_mtu: Annotated[
        int,
        Setting(
            "RUNNER_ENGINE_MTU", "0", parsers.count, "MTU of jobs' networks; 0: the default route's"
        ),
    ]
    engine_mirrors: Annotated[
        tuple[str, ...],
        Setting(
            "RUNNER_ENGINE_MIRRORS",
            "",
            parsers.words,
            "registry mirrors of dockerd, separated by commas",
        ),
    ]
    engine_insecure: Annotated[
        tuple[str, ...],
        Setting(
            "RUNNER_ENGINE_INSECURE_REGISTRIES",
            "",
            parsers.words,
            "registries that dockerd may speak to without TLS, separated by commas",
        ),
    ]
    engine_data_root: Annotated[
        str,
        Setting(
            "RUNNER_ENGINE_DATA_ROOT",
            "",
            parsers.optional(parsers.path),
            "where dockerd keeps images",
        ),
    ]
    engine_storage: Annotated[
        str, Setting("RUNNER_ENGINE_STORAGE_DRIVER", "", parsers.text, "storage driver of dockerd")
    ]
    engine_pool: Annotated[
        str,
        Setting(
            "RUNNER_ENGINE_ADDRESS_POOL",
            "",
            parsers.text,
            "addresses of jobs' networks, as in base=10.200.0.0/16,size=24",
        ),
    ]
    min_free_disk: Annotated[
        int,
        Setting(
            "RUNNER_MIN_FREE_DISK",
            "1G",
            parsers.size,
            "space that work folder and engine must have free at the start",
        ),
    ]
    engine_options: Annotated[
        str,
        Setting(
            "RUNNER_ENGINE_OPTIONS",
            "",
            parsers.command_line,
            "further words of the engine's command line",
        ),
    ]
    sudo: Annotated[bool, Setting("RUNNER_SUDO", "1", parsers.flag, "let jobs use sudo and su")]
    allow_ptrace: Annotated[
        bool,
        Setting(
            "RUNNER_ALLOW_PTRACE", "0", parsers.flag, "leave CAP_SYS_PTRACE to jobs, if it is there"
        ),
    ]
    allow_readable_secrets: Annotated[
        bool,
        Setting(
            "RUNNER_ALLOW_READABLE_SECRETS",
            "0",
            parsers.flag,
            "start with secrets that jobs can read",
        ),
    ]
    log_format: Annotated[
        str,
        Setting(
            "RUNNER_LOG_FORMAT",
            "auto",
            parsers.choice("auto", "console", "json"),
            "console: lines for people; json: one object a line; auto is console",
        ),
    ]
    log_level: Annotated[
        str,
        Setting(
            "RUNNER_LOG_LEVEL",
            "info",
            parsers.choice(
                "debug",
                "info",
                "warning",
                "error",
                trace="debug",
                verbose="debug",
                notice="info",
                warn="warning",
                err="error",
                critical="error",
                fatal="error",
            ),
            "least level that is logged",
        ),
    ]
    stop_timeout: Annotated[
        float,
        Setting(
            "RUNNER_STOP_TIMEOUT",
            "9",
            parsers.some_seconds,
            "seconds a stop may take, a drain left out",
        ),
    ]
    cancel_timeout: Annotated[
        float,
        Setting(
            "RUNNER_CANCEL_TIMEOUT",
            "4",
            parsers.seconds,
            "seconds a cancelled job has before its processes are killed",
        ),
    ]
    drain_timeout: Annotated[
        float,
        Setting(
            "RUNNER_DRAIN_TIMEOUT",
            "0",
            parsers.seconds,
            "seconds a running job may go on after a stop",
        ),
    ]
    idle_timeout: Annotated[
        float,
        Setting(
            "RUNNER_IDLE_TIMEOUT",
            "0",
            parsers.seconds,
            "seconds without a job before it leaves; 0: never",
        ),
    ]
    job_timeout: Annotated[
        float,
        Setting(
            "RUNNER_JOB_TIMEOUT",
            "0",
            parsers.seconds,
            "seconds a job may take before it is cancelled; 0: no limit",
        ),
    ]
    failure_pause: Annotated[
        float,
        Setting(
            "RUNNER_FAILURE_PAUSE",
            "0",
            parsers.seconds,
            "seconds it waits before it ends with 7, 77 or 78, for an engine that starts it again"
            " whatever the exit code",
        ),
    ]
    watchdog: Annotated[
        float,
        Setting(
            "RUNNER_WATCHDOG",
            "0",
            parsers.seconds,
            "seconds between looks whether GitHub still lists an idle runner; 0: never",
        ),
    ]
    max_restarts: Annotated[
        int,
        Setting(
            "RUNNER_MAX_RESTARTS", "10", parsers.count, "restarts of the listener before a job"
        ),
    ]
    metrics_file: Annotated[
        str,
        Setting(
            "RUNNER_METRICS_FILE",
            "",
            parsers.optional(parsers.path),
            "file, or directory, for the figures of this life in Prometheus' text format",
        ),
    ]
    state_dir: Annotated[
        str, Setting("RUNNER_STATE_DIR", "/run/gh-runner", parsers.path, "directory of state.json")
    ]
    stop_file: Annotated[
        str,
        Setting(
            "RUNNER_STOP_FILE",
            "",
            parsers.optional(parsers.path),
            "file that stops the runner, as SIGTERM does, once it holds `RUNNER_STOP_SECRET`; for"
            " virtual machines",
        ),
    ]
    github_timeout: Annotated[
        float,
        Setting(
            "GITHUB_TIMEOUT",
            "60",
            parsers.some_seconds,
            "seconds GitHub may take at the start, retries included",
        ),
    ]

    @property
    def target(self) -> Target:
        """The list of runners that the runner is registered on, and its GitHub's address."""
        return target(
            host=self.host,
            owner=self.owner,
            repository=self.repository,
            enterprise=self.enterprise,
            url=self.url,
            api=self.api_url,
        )

    @property
    def web_url(self) -> str:
        """The URL for config.sh's option --url."""
        return self.target.web_url

    @property
    def workdir_path(self) -> str:
        """The work folder as an absolute path; a relative one starts at the runner's directory."""
        return os.path.join(self.home, self.workdir)


def variables() -> dict[str, dict[str, Any]]:
    """Return the declaration of each setting, by its variable."""
    known = {name: about.__metadata__[0] for name, about in Settings.__annotations__.items()}
    return {one.variable: {"field": name, **one._asdict()} for name, one in known.items()}


def ours() -> set[str]:
    """Return the names of all variables that this program reads."""
    return {*variables(), *SECRETS, *(f"{secret}_FILE" for secret in SECRETS), *ALIASES}


def environment() -> MutableMapping[str, str]:
    """Return the environment, for subcommands such as `check`, which do not run as PID 1."""
    return os.environ


def in_environment(variable: str) -> str:
    """Return the text of one setting in the container's environment, or else its default."""
    default: str = variables()[variable]["default"]
    return parsers.unquoted(os.environ.get(variable, "")) or default
