"""The manifest of an agent, agent.toml: who it is and what it offers. Unknown keys are refused, with the nearest known one."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9-]{1,40}")
VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.-]+)?")
SCOPE = re.compile(r"[a-z]+:[a-z*]+")
RESERVED = frozenset({"pattern", "features", "knowledge", "router", "migrate"})


class ManifestError(ValueError):
    """The manifest says something that it must not; the text names the file, the key and what to write."""


@dataclass(frozen=True)
class Activity:
    """One activity of an agent, by the name that workflows call."""

    name: str
    description: str


@dataclass(frozen=True)
class Limits:
    """What an agent may take at most."""

    concurrency: int = 4  # activities at once
    memory_mb: int = 100  # resident, over which the agent reports itself as unhealthy


@dataclass(frozen=True)
class Manifest:
    """An agent as its author describes it."""

    name: str
    version: str
    description: str
    task_queue: str
    activities: tuple[Activity, ...]
    scopes: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()  # MCP tools of Tartan that it may call
    limits: Limits = field(default_factory=Limits)


def load(path: Path) -> Manifest:
    """Read and check a manifest. Every fault of it is named at once."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{path}: there is no such file; an agent has an agent.toml beside its pyproject.toml") from None
    except tomllib.TOMLDecodeError as e:
        raise ManifestError(f"{path}: {e}") from None
    return parse(raw, str(path))


def parse(raw: dict[str, Any], where: str) -> Manifest:
    """Check a manifest that is parsed already; `where` stands in the errors."""
    faults = _unknown(raw, {"name", "version", "description", "task_queue", "activities", "scopes", "tools", "limits"}, "")
    name, version = _text(raw, "name", faults), _text(raw, "version", faults)
    if name and not NAME.fullmatch(name):
        faults.append(f"name {name!r}: lower-case letters, digits and hyphens, 2 to 41 of them, a letter first")
    if name in RESERVED:
        faults.append(f"name {name!r} belongs to an agent of Tartan itself")
    if version and not VERSION.fullmatch(version):
        faults.append(f"version {version!r}: write it as 1.2.3")
    manifest = Manifest(
        name=name,
        version=version,
        description=_text(raw, "description", faults),
        task_queue=str(raw.get("task_queue", f"agent.{name}")),
        activities=_activities(raw, name, faults),
        scopes=_words(raw, "scopes", faults),
        tools=_words(raw, "tools", faults),
        limits=_limits(raw, faults),
    )
    if manifest.task_queue != f"agent.{name}":
        faults.append(f"task_queue {manifest.task_queue!r}: the queue of this agent is agent.{name}")
    faults += [f"scope {s!r}: write it as pattern:read or knowledge:*" for s in manifest.scopes if not SCOPE.fullmatch(s)]
    if faults:
        raise ManifestError(f"{where}: " + "; ".join(faults))
    return manifest


def _unknown(raw: dict[str, Any], known: set[str], under: str) -> list[str]:
    out: list[str] = []
    for key in sorted(set(raw) - known):
        near = difflib.get_close_matches(key, known, 1)
        out.append(f"unknown key {under}{key}" + (f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"))
    return out


def _text(raw: dict[str, Any], key: str, faults: list[str]) -> str:
    value = raw.get(key)
    if isinstance(value, str) and value.strip():
        return value.strip()
    faults.append(f"{key} is missing" if value is None else f"{key} is not a text")
    return ""


def _words(raw: dict[str, Any], key: str, faults: list[str]) -> tuple[str, ...]:
    value: object = raw.get(key, [])
    if isinstance(value, list) and all(isinstance(v, str) for v in cast("list[object]", value)):
        return tuple(cast("list[str]", value))
    faults.append(f"{key} is not a list of texts")
    return ()


def _activities(raw: dict[str, Any], name: str, faults: list[str]) -> tuple[Activity, ...]:
    value = raw.get("activities")
    if not isinstance(value, list) or not value:
        faults.append("there is no [[activities]]: an agent without one has nothing to do")
        return ()
    out: list[Activity] = []
    for i, entry in enumerate(cast("list[object]", value), 1):
        if not isinstance(entry, dict):
            faults.append(f"activities[{i}] is not a table")
            continue
        table = cast("dict[str, Any]", entry)
        faults += _unknown(table, {"name", "description"}, f"activities[{i}].")
        found = Activity(_text(table, "name", faults), _text(table, "description", faults))
        if found.name and not found.name.startswith(f"{name}."):
            faults.append(f"activity {found.name!r}: its name begins with {name}.")
        out.append(found)
    if len({a.name for a in out}) < len(out):
        faults.append("two activities have the same name")
    return tuple(out)


def _limits(raw: dict[str, Any], faults: list[str]) -> Limits:
    value = raw.get("limits", {})
    if not isinstance(value, dict):
        faults.append("limits is not a table")
        return Limits()
    table = cast("dict[str, Any]", value)
    faults += _unknown(table, {"concurrency", "memory_mb"}, "limits.")
    numbers = {k: table.get(k, getattr(Limits, k)) for k in ("concurrency", "memory_mb")}
    for key, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            faults.append(f"limits.{key} is not a whole number of at least 1")
            numbers[key] = getattr(Limits, key)
    return Limits(**numbers)
