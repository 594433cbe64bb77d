"""The credentials of the REST API, tokens and Apps, and what each may do."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import jwt

from simulator.hub import refusals
from simulator.hub.model import runner_token

CLASSIC, FINE_GRAINED, INSTALLATION = "classic", "fine-grained", "installation"
ALL_SCOPES = ("admin:enterprise", "admin:org", "repo")
NEEDED_SCOPE = {
    "repos": ("repo",),
    "orgs": ("admin:org",),
    "enterprises": ("manage_runners:enterprise", "admin:enterprise"),
}
NEEDED_PERMISSION = {
    "repos": "administration",
    "orgs": "organization_self_hosted_runners",
    "enterprises": "",
}
HOUR = 3600.0
MAXIMUM_JWT_SECONDS = 600
JWT_ALGORITHM = "RS256"


@dataclass
class Credential:
    """A token of the REST API.

    `access` lists the owners, or owner/repo, that the token reaches; None is everything. `limit` is
    the number of requests in an hour.
    """

    token: str
    kind: str = CLASSIC
    scopes: tuple[str, ...] = ALL_SCOPES
    permissions: dict[str, str] = field(default_factory=dict)
    access: tuple[str, ...] | None = None
    sso: tuple[str, ...] = ()
    admin: bool = True
    expires: float | None = None
    valid_from: float = 0.0
    limit: int = 5000
    used: int = 0
    reset: float = field(default_factory=lambda: time.time() + HOUR)

    @property
    def remaining(self) -> int:
        """The number of requests that are left until the reset."""
        return max(0, self.limit - self.used)

    def is_valid(self) -> bool:
        """Return whether the token is accepted now."""
        now = time.time()
        return self.valid_from <= now and (self.expires is None or now < self.expires)

    def sees(self, scope: str) -> bool:
        """Return whether the token has access to a scope."""
        name = scope.partition("/")[2]
        owner = name.partition("/")[0]
        return self.access is None or bool({name, owner} & {item.lower() for item in self.access})

    def spend(self) -> None:
        """Count a request; Refusal if none was left."""
        if time.time() >= self.reset:
            self.used, self.reset = 0, time.time() + HOUR
        if not self.remaining:
            raise refusals.rate_limited(self.reset)
        self.used += 1

    def check(self, scope: str, write: bool) -> None:
        """Raise a Refusal unless the token may administer the runners of a scope."""
        kind, _, name = scope.partition("/")
        if not self.sees(scope):
            raise refusals.not_found()
        organization = name.partition("/")[0]
        if organization in {item.lower() for item in self.sso}:
            raise refusals.single_sign_on(organization)
        if self.kind == CLASSIC:
            self._check_scopes(kind)
        else:
            self._check_permissions(kind, write)
        if not self.admin:
            raise refusals.not_admin()

    def _check_scopes(self, kind: str) -> None:
        if not set(NEEDED_SCOPE[kind]) & set(self.scopes):
            raise refusals.scope_missing(self.scopes, NEEDED_SCOPE[kind][0])

    def _check_permissions(self, kind: str, write: bool) -> None:
        permission = NEEDED_PERMISSION[kind]
        if not permission:
            raise refusals.not_found()
        granted = self.permissions.get(permission)
        if granted != "write" and (write or granted != "read"):
            who = "integration" if self.kind == INSTALLATION else "personal access token"
            level = "write" if write else "read"
            raise refusals.not_accessible(who, f"{permission}={level}")

    def headers(self, scope: str) -> dict[str, str]:
        """Return the headers by which every answer describes the token."""
        found = {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": str(int(self.reset)),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-resource": "core",
        }
        kind = scope.partition("/")[0]
        if self.kind == CLASSIC:
            found["x-oauth-scopes"] = ", ".join(self.scopes)
            found["x-accepted-oauth-scopes"] = ", ".join(NEEDED_SCOPE.get(kind, ()))
        elif NEEDED_PERMISSION.get(kind):
            found["x-accepted-github-permissions"] = f"{NEEDED_PERMISSION[kind]}=write"
        return found


@dataclass
class Installation:
    """An App that is installed for an account: an organization, a user or an enterprise."""

    id: int
    account: str
    permissions: dict[str, str]
    target_type: str = "Organization"
    suspended: bool = False


@dataclass
class App:
    """A GitHub App; its new tokens are refused for `propagation` seconds."""

    id: int
    public_key: str
    client_id: str = ""
    installations: list[Installation] = field(default_factory=list)
    propagation: float = 0.0

    def installation(self, installation_id: int) -> Installation:
        """Return one of its installations; Refusal (404) if there is no such one."""
        for found in self.installations:
            if found.id == installation_id:
                return found
        raise refusals.not_found()


class Vault:
    """All credentials that the simulator knows."""

    def __init__(self) -> None:
        self._credentials = {"ghp_simulator": Credential("ghp_simulator")}
        self._apps: list[App] = []

    def add(self, credential: Credential) -> None:
        """Accept a token from now on."""
        self._credentials[credential.token] = credential

    def add_app(self, app: App) -> None:
        """Make an App known."""
        self._apps = [known for known in self._apps if known.id != app.id] + [app]

    def revoke(self, token: str) -> bool:
        """Refuse a token from now on, and return whether it was known."""
        return self._credentials.pop(token, None) is not None

    def expire_installation_tokens(self) -> int:
        """Expire the tokens of all installations, and return their number."""
        chosen = [item for item in self._credentials.values() if item.kind == INSTALLATION]
        for credential in chosen:
            credential.expires = 0.0
        return len(chosen)

    def installation_tokens(self) -> list[str]:
        """Return the tokens that were made for installations of Apps."""
        return [item.token for item in self._credentials.values() if item.kind == INSTALLATION]

    def credential(self, token: str) -> Credential:
        """Return the credential of a token; Refusal (401) if it is not accepted."""
        found = self._credentials.get(token)
        if found is None or not found.is_valid():
            raise refusals.bad_credentials()
        return found

    def app_of(self, token: str) -> App:
        """Return the App that has signed a JWT; Refusal (401) if anything is wrong with it."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise refusals.Refusal(401, "A JSON web token could not be decoded") from None
        issuer = str(claims.get("iss", ""))
        for app in self._apps:
            if issuer in {str(app.id), app.client_id} and issuer:
                _verify(token, app, claims)
                return app
        raise refusals.Refusal(401, "'Issuer' claim ('iss') must be an Integer")

    def mint(self, app: App, installation: Installation, wanted: dict[str, str]) -> Credential:
        """Make a token of an installation, valid for an hour; Refusal (422) if it asks too much."""
        levels = {"": 0, "read": 1, "write": 2}
        for name, level in wanted.items():
            if levels.get(level, 3) > levels[installation.permissions.get(name, "")]:
                message = "The permissions requested are not granted to this installation."
                raise refusals.Refusal(422, message)
        now = time.time()
        credential = Credential(
            # GitHub's longest tokens are as long as this, and have dots in them.
            token="ghs_" + ".".join(runner_token() + secrets.token_hex(71) for _ in range(3)),
            kind=INSTALLATION,
            permissions=wanted or installation.permissions,
            access=None if installation.target_type == "Enterprise" else (installation.account,),
            expires=now + HOUR,
            valid_from=now + app.propagation,
        )
        self.add(credential)
        return credential


def _verify(token: str, app: App, claims: dict[str, Any]) -> None:
    try:
        jwt.decode(
            token,
            app.public_key,
            algorithms=[JWT_ALGORITHM],
            options={"require": ["iat", "exp"], "verify_iss": False},
        )
    except jwt.ExpiredSignatureError:
        message = "'Expiration time' claim ('exp') must be a numeric value representing the future"
        raise refusals.Refusal(401, message + " time at which the assertion expires") from None
    except jwt.ImmatureSignatureError:
        message = "'Issued at' claim ('iat') must be an Integer representing the time that the"
        raise refusals.Refusal(401, message + " assertion was issued") from None
    except jwt.PyJWTError:
        raise refusals.Refusal(401, "A JSON web token could not be decoded") from None
    if claims["exp"] > time.time() + MAXIMUM_JWT_SECONDS:
        message = "'Expiration time' claim ('exp') is too far in the future"
        raise refusals.Refusal(401, message)


def credential_of(values: dict[str, Any]) -> Credential:
    """Return the credential that a call of the control API describes."""
    made = Credential(**values)
    made.scopes = tuple(made.scopes)
    made.sso = tuple(made.sso)
    made.access = None if made.access is None else tuple(made.access)
    return made
