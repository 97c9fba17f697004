from pathlib import Path

import pytest
from tartan_agent import ManifestError, load
from tartan_agent.manifest import parse

GOOD = {
    "name": "vibration",
    "version": "0.1.0",
    "description": "Features of the vibration of turbines.",
    "activities": [{"name": "vibration.features", "description": "Spectral features of one window."}],
}


def test_the_queue_follows_from_the_name() -> None:
    manifest = parse(GOOD, "agent.toml")
    assert manifest.task_queue == "agent.vibration"
    assert manifest.limits.concurrency == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nmae": 1}, "did you mean name"),
        ({"name": "Vibration"}, "lower-case letters"),
        ({"name": "pattern"}, "belongs to an agent of Tartan"),
        ({"version": "1"}, "write it as 1.2.3"),
        ({"activities": []}, "nothing to do"),
        ({"activities": [{"name": "other.features", "description": "x"}]}, "begins with vibration."),
        ({"activities": GOOD["activities"] * 2}, "two activities have the same name"),  # type: ignore[operator]
        ({"scopes": ["everything"]}, "pattern:read"),
        ({"limits": {"concurrency": 0}}, "at least 1"),
        ({"limits": {"threads": 3}}, "unknown key limits.threads"),
        ({"task_queue": "agent.pattern"}, "the queue of this agent is agent.vibration"),
    ],
)
def test_faults_are_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        parse({**GOOD, **change}, "agent.toml")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ManifestError) as e:
        parse({"nmae": "x"}, "agent.toml")
    for word in ("did you mean name", "name is missing", "version is missing", "description is missing", "no [[activities]]"):
        assert word in str(e.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="there is no such file"):
        load(tmp_path / "agent.toml")
