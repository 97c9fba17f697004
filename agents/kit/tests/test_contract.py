from dataclasses import dataclass, field

import pytest
from tartan_agent import Contract, RefusedError


@dataclass
class Window:
    values: list[float]
    rate_hz: float
    tags: dict[str, str] = field(default_factory=dict[str, str])
    label: str | None = None
    count: int = 0


def test_the_schema_is_json_schema() -> None:
    assert Contract(Window).schema() == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "values": {"type": "array", "items": {"type": "number"}},
            "rate_hz": {"type": "number"},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "label": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "count": {"type": "integer"},
        },
        "required": ["values", "rate_hz"],
    }


def test_what_is_read() -> None:
    read = Contract(Window).read({"values": [1, 2.5], "rate_hz": 50, "label": None, "later_field": True})
    assert read == Window([1.0, 2.5], 50.0)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"values": [1, "2"], "rate_hz": 1}, r"\$\.values\[1\]: float is wanted, not str"),
        ({"values": []}, r"\$\.rate_hz is missing"),
        ({"values": {}, "rate_hz": 1}, r"\$\.values: a list is wanted"),
        ({"values": [True], "rate_hz": 1}, r"float is wanted, not bool"),
        ({"values": [float("nan")], "rate_hz": 1}, r"not a number that JSON knows"),
        ({"values": [], "rate_hz": 1, "count": 1 << 53}, r"not below 2\^53"),
        ({"values": [], "rate_hz": 1, "label": 3}, r"\$\.label: int is none of"),
        ([], r"\$: an object is wanted, not list"),
    ],
)
def test_what_is_refused(value: object, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        Contract(Window).read(value)


def test_what_has_no_place_in_a_contract() -> None:
    @dataclass
    class Bad:
        when: complex

    with pytest.raises(TypeError, match="no place in a contract"):
        Contract(Bad).schema()
