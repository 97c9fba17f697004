import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tartan_agent import GrantError, Keys
from tartan_agent.grants import AUDIENCE, ISSUER, check, verify

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
NOW = 1_780_000_000.0


def key_set(*keys: ec.EllipticCurvePrivateKey) -> str:
    return json.dumps({"keys": [{**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(k.public_key())), "kid": f"k{i}"} for i, k in enumerate(keys)]})


def claims(**change: Any) -> dict[str, Any]:
    good = {
        "sub": "vibration",
        "activity": "vibration.features",
        "workflow_id": "w",
        "workspace_id": "s",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NOW + 60,
    }
    return {k: v for k, v in {**good, **change}.items() if v is not None}


def sign(key: Any = KEY, kid: str = "k0", algorithm: str = "ES256", **change: Any) -> str:
    return jwt.encode(claims(**change), key, algorithm=algorithm, headers={"kid": kid})


def keys() -> Keys:
    return Keys("", lambda _: key_set(KEY))


def test_a_good_grant() -> None:
    grant = verify(sign(), keys(), NOW)
    check(grant, agent="vibration", activity="vibration.features", workflow_id="w", workspace_id="s")


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (sign(key=OTHER), "not accepted"),
        (sign(kid="k9"), "not known"),
        (sign(key="a secret of thirty-two bytes or more", algorithm="HS256"), "not accepted"),
        (sign(aud="tartan-mcp"), "not accepted"),
        (sign(iss="somebody"), "not accepted"),
        (sign(exp=NOW - 6), "has expired"),
        (sign(exp=None), "not accepted"),
        (sign(activity=None), "not complete"),
        (jwt.encode(claims(), None, algorithm="none", headers={"kid": "k0"}), "not accepted"),
        ("not a token", "not accepted"),
        ("", "not accepted"),
    ],
)
def test_what_is_refused(token: str, says: str) -> None:
    with pytest.raises(GrantError, match=says):
        verify(token, keys(), NOW)


@pytest.mark.parametrize("other", ["agent", "activity", "workflow_id", "workspace_id"])
def test_a_grant_for_another_task(other: str) -> None:
    task: dict[str, Any] = {"agent": "vibration", "activity": "vibration.features", "workflow_id": "w", "workspace_id": "s", other: "another"}
    with pytest.raises(GrantError, match="for another"):
        check(verify(sign(), keys(), NOW), **task)


def test_an_unknown_key_is_looked_up_once_in_a_while() -> None:
    read: list[float] = []

    def source(_: str) -> str:
        read.append(time.monotonic())
        return key_set(KEY)

    found = Keys("", source)
    for _ in range(50):
        assert found.find("nobody's") is None
    assert found.find("k0") is not None
    assert len(read) == 1
