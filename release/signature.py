"""How images are signed and verified: by cosign, without a key, with the workflow's identity.

The signature is a tag beside the image, as before cosign 3's bundles. Bundles would need referrers,
which GitHub's registry does not have, and the admission controllers of Kubernetes look for the tag.
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
    escaped = workflow.replace(".", r"\.")  # the only character in it with a meaning
    return f"^{escaped}@refs/{refs}$"


def verify_command(image: str, repository: str) -> list[str]:
    """Return the command that verifies an image of a repository."""
    return [
        *("cosign", "verify", image, "--new-bundle-format=false"),
        f"--certificate-oidc-issuer={ISSUER}",
        f"--certificate-identity-regexp={identity(repository)}",
    ]


def sign(image: str, repository: str) -> None:
    """Sign an image by its digest, and verify it as users do."""
    if subprocess.run([*_SIGN, image], check=False).returncode:
        raise Refusal(f"cosign did not sign {image}")
    command = verify_command(image, repository)
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        raise Refusal(f"{image} is signed by somebody else than {identity(repository)}")
