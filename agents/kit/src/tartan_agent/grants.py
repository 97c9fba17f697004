"""Grants: each activity task carries a short-lived signed statement of what it is for, checked before the activity runs.

A grant is an ES256 token that Tartan's workflow worker signs. Only public keys are needed here.
"""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import jwt

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = "tartan-grant"
AUDIENCE = "tartan-activity"
ISSUER = "tartan-worker"
LEEWAY = 5
REREAD = 10.0  # seconds between two readings of the key set on account of an unknown key


class GrantError(ValueError):
    """The grant is missing, forged, expired, or meant for another task."""


@dataclass(frozen=True)
class Grant:
    """What a task may do: this activity, for this workflow, in this workspace, as this agent."""

    agent: str
    activity: str
    workflow_id: str
    workspace_id: str
    expires: float


class Keys:
    """The public keys of a JSON Web Key Set, read from a file or a URL, and again when an unknown key turns up."""

    def __init__(self, where: str, read: Callable[[str], str] | None = None) -> None:
        """Keys are read at first use."""
        self._where = where
        self._read = read or _read
        self._keys: dict[str, Any] = {}
        self._read_at = -REREAD

    def find(self, kid: str) -> Any:
        """Return the key with this id, or None."""
        if kid not in self._keys and time.monotonic() - self._read_at >= REREAD:
            self._read_at = time.monotonic()
            keys = jwt.PyJWKSet.from_json(self._read(self._where)).keys
            self._keys = {k.key_id: k.key for k in keys if k.key_id and k.key_type == "EC"}
        return self._keys.get(kid)


def _read(where: str) -> str:
    if where.startswith(("http://", "https://")):
        with urllib.request.urlopen(where, timeout=5) as answer:
            return cast("bytes", answer.read(1 << 20)).decode()
    with open(where, encoding="utf-8") as f:
        return f.read()


def verify(token: str, keys: Keys, now: float | None = None) -> Grant:
    """Check signature, issuer, audience and time of a grant."""
    try:
        kid = str(jwt.get_unverified_header(token).get("kid", ""))
        key = keys.find(kid)
        if key is None:
            raise GrantError(f"the grant is signed with a key that is not known: {kid[:64]!r}")
        claims = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "aud", "iss", "sub"], "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError as e:
        raise GrantError(f"the grant is not accepted: {e}") from None
    names = ("sub", "activity", "workflow_id", "workspace_id")
    texts = [claims.get(n) for n in names]
    if not all(isinstance(t, str) and t for t in texts) or not isinstance(claims["exp"], int | float):
        raise GrantError("the grant is not complete: " + json.dumps(sorted(claims)))
    if claims["exp"] + LEEWAY < (time.time() if now is None else now):
        raise GrantError("the grant has expired")
    agent, activity, workflow_id, workspace_id = cast("list[str]", texts)
    return Grant(agent, activity, workflow_id, workspace_id, float(claims["exp"]))


def check(grant: Grant, *, agent: str, activity: str, workflow_id: str, workspace_id: str | None) -> None:
    """Refuse a grant that is meant for another task."""
    wanted = {"agent": agent, "activity": activity, "workflow_id": workflow_id}
    if workspace_id is not None:
        wanted["workspace_id"] = workspace_id
    for name, value in wanted.items():
        if getattr(grant, name) != value:
            raise GrantError(f"the grant is for another {name.removesuffix('_id')}")
