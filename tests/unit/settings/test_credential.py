"""The kinds of credential, and what each needs."""

import pytest

from entrypoint.settings import credential
from entrypoint.settings.credential import Kind
from entrypoint.settings.target import Scope


@pytest.mark.parametrize(
    ("secrets", "variable", "kind"),
    [
        ({"GITHUB_PERSONAL_TOKEN": "ghp_x"}, "GITHUB_PERSONAL_TOKEN", Kind.CLASSIC),
        ({"GITHUB_PERSONAL_TOKEN": "github_pat_x"}, "GITHUB_PERSONAL_TOKEN", Kind.FINE_GRAINED),
        ({"GITHUB_PERSONAL_TOKEN": "0123abcd"}, "GITHUB_PERSONAL_TOKEN", Kind.TOKEN),
        ({"GITHUB_APP_PRIVATE_KEY": "x"}, "GITHUB_APP_PRIVATE_KEY", Kind.APP),
        ({"RUNNER_TOKEN": "A"}, "RUNNER_TOKEN", Kind.REGISTRATION),
    ],
)
def test_given(secrets: dict[str, str], variable: str, kind: Kind) -> None:
    """The variable and the form of the token tell the kind."""
    assert credential.identify(secrets) == (variable, kind)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("kind", Kind)
def test_needs(kind: Kind, scope: Scope) -> None:
    """For every kind and scope a sentence says what the credential needs."""
    assert credential.needs(kind, scope)


def test_only_a_registration_token_has_limits() -> None:
    """For a registration token, and for no other kind, a sentence says what it cannot do."""
    assert "one hour" in credential.caveats({"RUNNER_TOKEN": "A"})[0]
    assert credential.caveats({"GITHUB_PERSONAL_TOKEN": "ghp_x"}) == []
