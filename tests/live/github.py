"""The part of github.com's REST API that the scenarios use."""

from __future__ import annotations

import os
from typing import Any

import requests

WORKFLOW = "live-job.yml"
TIMEOUT = 30  # seconds
PAGE = 100


class GitHub:
    """One repository; `token` may administer its runners, `jobs_token` may start workflows."""

    def __init__(self, api: str, repository: str, ref: str, token: str, jobs_token: str) -> None:
        """Keep the values; no request is sent."""
        self._actions = f"{api}/repos/{repository}/actions"
        self._ref = ref
        self._token = token
        self._jobs_token = jobs_token

    def runners(self) -> dict[str, str]:
        """Return the status of each runner on the list, by its name."""
        found: dict[str, str] = {}
        page = 1
        while True:
            shown = self._get(self._token, "runners", per_page=PAGE, page=page)["runners"]
            found |= {runner["name"]: runner["status"] for runner in shown}
            if len(shown) < PAGE:
                return found
            page += 1

    def dispatch(self, label: str, kind: str) -> None:
        """Start the workflow whose only job runs on the runner with this label."""
        url = f"{self._actions}/workflows/{WORKFLOW}/dispatches"
        body = {"ref": self._ref, "inputs": {"label": label, "kind": kind}}
        headers = self._headers(self._jobs_token)
        requests.post(url, json=body, headers=headers, timeout=TIMEOUT).raise_for_status()

    def job(self, label: str) -> tuple[str, str]:
        """Return the status of the job for this label, and its conclusion, each "" if none."""
        path = f"workflows/{WORKFLOW}/runs"
        runs = self._get(self._jobs_token, path, event="workflow_dispatch")["workflow_runs"]
        for run in runs:
            if run["display_title"] == label:
                jobs = self._get(self._jobs_token, f"runs/{run['id']}/jobs")["jobs"]
                return (jobs[0]["status"], jobs[0]["conclusion"] or "") if jobs else ("", "")
        return "", ""

    def _get(self, token: str, path: str, **query: str | int) -> dict[str, Any]:
        url = f"{self._actions}/{path}"
        answer = requests.get(url, params=query, headers=self._headers(token), timeout=TIMEOUT)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _headers(self, token: str) -> dict[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }


def from_environment() -> GitHub:
    """Return the repository of the workflow that runs this; LIVE_TOKEN is the only addition."""
    return GitHub(
        os.environ["GITHUB_API_URL"],
        os.environ["GITHUB_REPOSITORY"],
        os.environ["GITHUB_REF_NAME"],
        os.environ["LIVE_TOKEN"],
        os.environ["GITHUB_TOKEN"],
    )
