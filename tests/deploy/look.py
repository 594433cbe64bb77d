"""A job that looks for the credential in every place that a job can read."""

from __future__ import annotations

from typing import Any

# Looks as the job's user and, if possible, as root. The token is disguised (rot13) and goes to grep
# through a pipe, so that neither this script nor a command line contains it.
LOOK = r"""
places="/proc/[0-9]*/environ /proc/[0-9]*/cmdline /run /etc /tmp /home /root /srv /var/lib /dev/shm
    /gh-runner"
look() {
    tr a-z n-za-m <<<tuc_fvzhyngbe | "$@" grep --recursive --files-with-matches --devices=skip \
        --no-messages --text --fixed-strings --file=- $places || true
}
look env | sed s/^/found:/
if sudo -n true 2>/dev/null; then echo as root; look sudo | sed s/^/found:/; fi
echo looked
"""


def assert_nothing_found(job: dict[str, Any], *, as_root: bool | None = None) -> None:
    """Judge the job LOOK; `as_root` is whether it should have become root, None if either."""
    assert job["result"] == "succeeded", job
    assert "looked" in job["log"]
    assert "found" not in job["log"], job["log"]
    if as_root is not None:
        assert as_root == ("as root" in job["log"])
