"""How images are signed and verified: by cosign, without a key, as the workflow that publishes.

The form is the one before cosign 3's bundles, a tag beside the image: GitHub's registry has no
referrers, where bundles would be, and the admission controllers of Kubernetes look for it.
https://github.com/sigstore/policy-controller/issues/1899
"""

from __future__ import annotations

import subprocess

from release.errors import Refusal

ISSUER = "https://token.actions.githubusercontent.com"
_SIGN = ["cosign", "sign", "--yes", "--new-bundle-format=false", "--use-signing-config=false"]


def identity(repository: str) -> str:
    """Return a regular expression for the identity that signs for a repository on GitHub."""
    workflow = f"https://github.com/{repository}/.github/workflows/publish.yml"
    refs = r"(heads/main|tags/v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?)"
    escaped = workflow.replace(".", r"\.")  # the only one of its signs that means anything
    return f"^{escaped}@refs/{refs}$"


def verify_command(image: str, repository: str) -> list[str]:
    """Return the command that verifies an image of a repository."""
    return [
        *("cosign", "verify", image, "--new-bundle-format=false"),
        f"--certificate-oidc-issuer={ISSUER}",
        f"--certificate-identity-regexp={identity(repository)}",
    ]


def sign(image: str, repository: str) -> None:
    """Sign an image by its digest, and verify it as its users will."""
    if subprocess.run([*_SIGN, image], check=False).returncode:
        raise Refusal(f"cosign did not sign {image}")
    command = verify_command(image, repository)
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise Refusal(f"{image} is signed by somebody else than {identity(repository)}")
