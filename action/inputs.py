"""The inputs of the step: read, checked together, and then unchangeable."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from action.errors import Problem

# The values of inputs that are not given; `action.yml` describes each.
DEFAULTS: dict[str, str] = {
    "mode": "start",
    "token": "",
    "context": "",
    "api-url": "",
    "credential": "",
    "name": "gh-runner",
    "labels": "",
    "group": "",
    "workdir": "_work",
    "count": "1",
    "wait": "",
    "timeout": "600",
    "idle-timeout": "300",
    "region": "",
    "cluster": "default",
    "task-definition": "",
    "container": "",
    "launch-type": "",
    "capacity-provider": "",
    "subnets": "",
    "subnets-tag": "",
    "security-groups": "",
    "security-groups-tag": "",
    "assign-public-ip": "false",
    "cpu": "",
    "memory": "",
    "tags": "",
    "task-role": "",
    "execution-role": "",
    "task-params-file": "",
    "allow-overrides": "",
    "debug": "false",
    "id": "",
    "task-arns": "",
    "runner-ids": "",
}
# Further names of an input; every name may also be written with underscores.
ALIASES: dict[str, Sequence[str]] = {
    "token": ("github-token", "github-pat"),
    "count": ("task-count",),
    "capacity-provider": ("capacity-providers",),
    "task-role": ("task-role-arn",),
    "execution-role": ("execution-role-arn",),
}
OVERRIDABLE = ("command", "task-role", "execution-role", "execute-command", "environment-files")
PARAMS_FILE = "task-params.json"  # the default of PasseiDireto's action

_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,50}")
_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98})"
_CONTEXT = re.compile(rf"(?:enterprises/)?{_OWNER}|{_OWNER}/[A-Za-z0-9._-]{{1,100}}")
_SUBNET = re.compile(r"subnet-[0-9a-z]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PROVIDER = re.compile(r"([A-Za-z0-9_-]+)(?::(\d{1,4}))?(?::(\d{1,6}))?")
_ARN = re.compile(r"arn:[a-z-]+:[a-z]+:[a-z0-9-]*:\d*:[\w+=,.@/:-]+")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def spellings(name: str) -> list[str]:
    """Return all names of an input."""
    names = [name, *ALIASES.get(name, ())]
    return list(dict.fromkeys(names + [item.replace("-", "_") for item in names]))


@dataclass(frozen=True)
class Inputs:
    """The inputs; empty ones were not given. Times are in seconds."""

    mode: str
    token: str
    context: str
    api_url: str
    credential: str
    name: str
    labels: Sequence[str]
    group: str
    workdir: str
    count: int
    wait: str
    timeout: int
    idle_timeout: int
    region: str
    cluster: str
    task_definition: str
    container: str
    launch_type: str
    capacity_provider: Sequence[Mapping[str, Any]]
    subnets: Sequence[str]
    subnets_tag: tuple[str, str] | None
    security_groups: Sequence[str]
    security_groups_tag: tuple[str, str] | None
    assign_public_ip: bool
    cpu: str
    memory: str
    tags: Sequence[Mapping[str, str]]
    task_role: str
    execution_role: str
    task_params_file: str
    params_file_may_lack: bool
    allow_overrides: Sequence[str]
    debug: bool
    id: str
    task_arns: Sequence[str]
    runner_ids: Sequence[int]
    given: Mapping[str, str]
    """The texts that were given, but for the token, by the inputs' names."""

    @property
    def scope(self) -> str:
        """The scope in paths of GitHub's API, as `repos/acme/shop`."""
        if self.context.startswith("enterprises/"):
            return self.context
        return ("repos/" if "/" in self.context else "orgs/") + self.context


def read(texts: Mapping[str, str], environ: Mapping[str, str]) -> Inputs:
    """Return the inputs; Problem with everything that is wrong with them."""
    reader = _Reader(texts)
    found = reader.inputs(environ)
    if reader.problems:
        raise Problem("inputs", "\n".join(reader.problems))
    return found


class _Reader:
    """Reads the inputs one by one, and collects the problems."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._given: dict[str, str] = {}
        for name in DEFAULTS:
            self._given[name] = self._one_of(name, texts)
        self._by_passei_direto = any(texts.get(name) for name in ("github_pat", "github-pat"))

    def _one_of(self, name: str, texts: Mapping[str, str]) -> str:
        """Return the text of an input, under whichever of its names it was given."""
        found = {key: texts.get(key, "").strip() for key in spellings(name)}
        given = {key: text for key, text in found.items() if text}
        if len(set(given.values())) > 1:
            self._wrong(name, f"{' and '.join(given)} are the same input, with two values")
        return next(iter(given.values()), "")

    def inputs(self, environ: Mapping[str, str]) -> Inputs:
        """Return all inputs."""
        given = self._given
        params_file = given["task-params-file"] or (PARAMS_FILE if self._by_passei_direto else "")
        found = Inputs(
            mode=self._choice("mode", ("start", "stop")),
            token=self._token(),
            context=self._context(environ),
            api_url=self._url("api-url", environ.get("GITHUB_API_URL", "https://api.github.com")),
            credential=self._choice("credential", ("", "jit", "task")),
            name=self._matching("name", _NAME, "1 to 50 letters, digits, dots, - and _"),
            labels=self._labels(),
            group=self._line("group"),
            workdir=self._line("workdir"),
            count=self._number("count", 1, 100),
            wait=self._wait(),
            timeout=self._number("timeout", 1, 21600),
            idle_timeout=self._number("idle-timeout", 0, 604800),
            region=self._line("region"),
            cluster=self._line("cluster"),
            task_definition=self._line("task-definition"),
            container=self._line("container"),
            launch_type=self._choice("launch-type", ("", "FARGATE", "EC2", "EXTERNAL"), str.upper),
            capacity_provider=self._providers(),
            subnets=self._each("subnets", _SUBNET, "ids of subnets, as subnet-0123456789abcdef0"),
            subnets_tag=self._tag("subnets-tag"),
            security_groups=self._list("security-groups"),
            security_groups_tag=self._tag("security-groups-tag"),
            assign_public_ip=self._flag("assign-public-ip", ("enabled",), ("disabled",)),
            cpu=self._matching("cpu", re.compile(r"\d*"), "CPU units: 1024 are one processor"),
            memory=self._matching("memory", re.compile(r"\d*"), "a number of MiB"),
            tags=self._tags(),
            task_role=self._line("task-role"),
            execution_role=self._line("execution-role"),
            task_params_file=params_file,
            params_file_may_lack=not given["task-params-file"],
            allow_overrides=self._overrides(),
            debug=self._flag("debug"),
            id=self._id(),
            task_arns=self._each("task-arns", _ARN, "ARNs of tasks"),
            runner_ids=[
                int(text)
                for text in self._each("runner-ids", re.compile(r"\d{1,18}"), "ids of runners")
            ],
            given={name: text for name, text in given.items() if name != "token"},
        )
        self._contradictions(found)
        return found

    def _wrong(self, name: str, what: str) -> None:
        self.problems.append(f"{name}: {what}.")

    def _text(self, name: str) -> str:
        return self._given[name] or DEFAULTS[name]

    def _line(self, name: str) -> str:
        text = self._text(name)
        if _CONTROL.search(text):
            self._wrong(name, "it has a line break or another control character")
        return text

    def _matching(self, name: str, pattern: re.Pattern[str], expected: str) -> str:
        text = self._line(name)
        if not pattern.fullmatch(text):
            self._wrong(name, f"{text!r} is not {expected}")
        return text

    def _choice(
        self, name: str, choices: Sequence[str], change: Callable[[str], str] = str.lower
    ) -> str:
        text = change(self._line(name))
        if text not in choices:
            allowed = ", ".join(filter(None, choices))
            self._wrong(name, f"{text!r} is none of {allowed}")
        return text

    def _flag(self, name: str, yes: Sequence[str] = (), no: Sequence[str] = ()) -> bool:
        yes, no = (*_YES, *yes), (*_NO, *no)
        text = self._choice(name, (*yes, *no))
        return text in yes

    def _number(self, name: str, least: int, most: int) -> int:
        text = self._line(name)
        number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
        if not least <= number <= most:
            self._wrong(name, f"{text!r} is no whole number from {least} to {most}")
            return least
        return number

    def _list(self, name: str) -> list[str]:
        """Return items between commas or line breaks; brackets and quotes of JSON are ignored."""
        text = self._given[name]
        if text.startswith("[") and text.endswith("]"):
            text = text[1:-1].replace('"', "").replace("'", "")
        items = [item.strip() for item in re.split(r"[,\n]", text)]
        if any(_CONTROL.search(item) for item in items):
            self._wrong(name, "it has a control character")
        return list(dict.fromkeys(filter(None, items)))

    def _each(self, name: str, pattern: re.Pattern[str], expected: str) -> list[str]:
        items = self._list(name)
        wrong = [item for item in items if not pattern.fullmatch(item)]
        if wrong:
            self._wrong(name, f"{', '.join(map(repr, wrong))}: wanted are {expected}")
            return []
        return items

    def _token(self) -> str:
        text = self._given["token"]
        if not text.isascii() or _CONTROL.search(text) or " " in text:
            self.problems.append("token: it has a space, a line break or a control character.")
        return text

    def _context(self, environ: Mapping[str, str]) -> str:
        text = self._line("context") or environ.get("GITHUB_REPOSITORY", "")
        if not _CONTEXT.fullmatch(text):
            self._wrong("context", f"{text!r} is no owner, owner/repository or enterprises/name")
        return text

    def _url(self, name: str, default: str) -> str:
        text = self._line(name) or default
        try:
            parts = urllib.parse.urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        secure = text.startswith("https://")
        if not host or not (secure or (text.startswith("http://") and _is_private(host))):
            self._wrong(name, f"{text!r} is no https:// URL")
        return text

    def _labels(self) -> list[str]:
        labels = self._list("labels")
        if any(len(label) > 256 for label in labels):
            self._wrong("labels", "a label has more than 256 characters")
        if len(labels) > 90:
            self._wrong("labels", "GitHub allows 100 labels, with those that are added")
        return labels

    def _wait(self) -> str:
        text = self._line("wait").lower()
        if text in _YES:
            return "task"
        if text in _NO:
            return "none"
        if text not in ("", "none", "task", "online"):
            self._wrong(
                "wait", f"{text!r} is none of none, task, online (true is task, false none)"
            )
        return text

    def _providers(self) -> list[dict[str, Any]]:
        found = []
        for item in self._list("capacity-provider"):
            parts = _PROVIDER.fullmatch(item)
            if parts is None:
                self._wrong("capacity-provider", f"{item!r} is no NAME, NAME:WEIGHT:BASE")
                continue
            strategy: dict[str, Any] = {"capacityProvider": parts[1]}
            if parts[2]:
                strategy["weight"] = int(parts[2])
            if parts[3]:
                strategy["base"] = int(parts[3])
            found.append(strategy)
        return found

    def _tag(self, name: str) -> tuple[str, str] | None:
        """Return a tag KEY:VALUE. AWS's own keys contain colons: `aws:…:stack-name:VALUE`."""
        text = self._line(name)
        if not text:
            return None
        if text.startswith("aws:"):
            key, _, value = text.rpartition(":")
        else:
            key, _, value = text.partition(":")
        if not key or not value:
            self._wrong(name, f"{text!r} is no KEY:VALUE")
        return key.strip(), value.strip()

    def _tags(self) -> list[dict[str, str]]:
        found: dict[str, str] = {}
        for item in self._list("tags"):
            key, sign, value = item.partition("=")
            if not sign or not key.strip() or len(key) > 128 or len(value) > 256:
                self._wrong("tags", f"{item!r} is no KEY=VALUE")
            found[key.strip()] = value.strip()
        if len(found) > 45:
            self._wrong("tags", "a task can have 50, with those that are added")
        return [{"key": key, "value": value} for key, value in found.items()]

    def _overrides(self) -> list[str]:
        items = self._list("allow-overrides")
        for item in items:
            if item not in OVERRIDABLE:
                self._wrong("allow-overrides", f"{item!r} is none of {', '.join(OVERRIDABLE)}")
        return items

    def _id(self) -> str:
        text = self._line("id")
        if text and not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", text):
            self._wrong("id", f"{text!r} is no id that mode: start has put out")
        return text

    def _contradictions(self, found: Inputs) -> None:
        if found.mode == "stop":
            return
        if found.launch_type and found.capacity_provider:
            self._wrong("launch-type", "give it or capacity-provider, not both")
        if found.credential == "jit" and not found.token:
            self._wrong("token", "credential: jit needs one that may register runners")
        if found.wait == "online" and not found.token:
            self._wrong("token", "wait: online needs one that may see GitHub's list of runners")
        for name, text in (
            ("task-role", found.task_role),
            ("execution-role", found.execution_role),
        ):
            if text and name not in found.allow_overrides:
                self._wrong(
                    name,
                    "a workflow does not choose the rights of its runner; if it shall, add"
                    f" allow-overrides: {name}",
                )


def _is_private(host: str) -> bool:
    """Return whether plain HTTP is allowed: to this machine, and to private addresses."""
    private = re.fullmatch(r"(10|192\.168|172\.(1[6-9]|2\d|3[01]))\.[\d.]+", host)
    return host in _LOCAL or private is not None
