"""What the agent offers to workflows."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path

from tartan_agent import App, RefusedError, load, run
from temporalio import activity

from spectral.features import NAMES, VERSION, features


@dataclass
class Caller:
    """For whom the work is done."""

    user_id: str
    workspace_id: str


@dataclass
class Window:
    """One window of a series: evenly spaced values."""

    values: list[float]
    rate_hz: float = 1.0
    name: str = ""


@dataclass
class FeaturesInput:
    """Windows to describe."""

    windows: list[Window]
    caller: Caller | None = None


@dataclass
class FeaturesResult:
    """One row a window, one column a name. Features of different versions are not compared."""

    version: str
    names: list[str]
    rows: list[list[float]]


@activity.defn(name="spectral.features")
def describe(given: FeaturesInput) -> FeaturesResult:
    """Describe each window; one that cannot be described refuses the whole input, and is named."""
    rows: list[list[float]] = []
    for i, w in enumerate(given.windows):
        try:
            rows.append(features(w.values, w.rate_hz))
        except ValueError as e:
            raise RefusedError(f"$.windows[{i}]{f' ({w.name})' if w.name else ''}: {e}") from None
    return FeaturesResult(VERSION, list(NAMES), rows)


app = App(load(Path(str(importlib.resources.files("spectral") / "agent.toml"))), [describe])


def main() -> None:
    """Run the agent."""
    run(app)
