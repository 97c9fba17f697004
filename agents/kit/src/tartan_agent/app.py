"""An agent as a process: it connects, works, tells how it is, and ends cleanly when it is told to."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import json
import logging
import os
import resource
import signal
import sys
import typing
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import temporalio.activity
from prometheus_client import generate_latest
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Worker, WorkerDeploymentConfig

from tartan_agent.contract import Contract
from tartan_agent.grants import Keys
from tartan_agent.plugin import TartanPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tartan_agent.manifest import Manifest

log = logging.getLogger("tartan_agent")

HEARTBEAT = timedelta(seconds=2)
DRAIN = timedelta(seconds=10)


@dataclasses.dataclass(frozen=True)
class App:
    """A manifest and the functions that keep its word: one dataclass in, one out, decorated with @activity.defn(name=...)."""

    manifest: Manifest
    activities: Sequence[Callable[..., Any]]

    def contracts(self) -> dict[str, tuple[Contract, Contract]]:
        """Return what goes into each activity and what comes out, by its name. Differences from the manifest are errors."""
        out: dict[str, tuple[Contract, Contract]] = {}
        for fn in self.activities:
            defn = temporalio.activity._Definition.must_from_callable(fn)  # pyright: ignore
            hints = typing.get_type_hints(fn)
            result = hints.pop("return", None)
            if len(hints) != 1 or result is None:
                raise TypeError(f"{fn.__name__}: an activity takes one annotated dataclass and returns one")
            out[str(defn.name)] = (Contract(next(iter(hints.values()))), Contract(result))
        promised, kept = {a.name for a in self.manifest.activities}, set(out)
        if promised != kept:
            raise TypeError(f"agent.toml and the code differ: only in agent.toml {sorted(promised - kept)}, only in code {sorted(kept - promised)}")
        return out

    def describe(self) -> dict[str, Any]:
        """Return the manifest with the JSON Schemas of its activities, as Tartan registers it."""
        contracts = self.contracts()
        about = dataclasses.asdict(self.manifest)
        for a in about["activities"]:
            a["input"], a["output"] = (c.schema() for c in contracts[a["name"]])
        return about


def run(app: App, argv: Sequence[str] | None = None) -> None:
    """Work until told to stop. `--describe` prints the manifest with its schemas instead."""
    logging.basicConfig(
        level=os.environ.get("TARTAN_LOG_LEVEL", "info").upper(),
        stream=sys.stderr,
        format="%(levelname)s %(name)s %(message)s",
    )
    if "--describe" in (sys.argv[1:] if argv is None else argv):
        sys.stdout.write(json.dumps(app.describe(), indent=2) + "\n")
        return
    app.contracts()
    with suppress(KeyboardInterrupt):
        asyncio.run(work(app))
    # Threads of the SDK's core may still call into an interpreter that is being taken down, which then dies: leave at once.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


async def work(app: App, stop: asyncio.Event | None = None, queue: str | None = None) -> None:
    """Connect by Temporal's own configuration (TEMPORAL_* or its TOML file) and work until `stop` is set or a signal comes.

    `queue` is another task queue than the manifest's, for a test beside a running agent.
    """
    stop = stop or asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    manifest, where = app.manifest, os.environ.get("TARTAN_GRANT_KEYS", "")
    if not where:
        log.warning("TARTAN_GRANT_KEYS is not set: tasks are not asked for a grant, so anybody who reaches Temporal can call this agent")
    connect: dict[str, Any] = {"target_host": "127.0.0.1:7233", **ClientConfig.load_client_connect_config()}
    runtime = Runtime(telemetry=TelemetryConfig(), worker_heartbeat_interval=HEARTBEAT)
    client = await Client.connect(
        **connect,
        runtime=runtime,
        identity=f"{manifest.name}@{os.uname().nodename}/{os.getpid()}",
        plugins=[TartanPlugin(manifest, Keys(where) if where else None)],
    )
    with concurrent.futures.ThreadPoolExecutor(manifest.limits.concurrency) as pool:
        worker = Worker(
            client,
            task_queue=queue or manifest.task_queue,
            activities=app.activities,
            activity_executor=pool,
            max_concurrent_activities=manifest.limits.concurrency,
            graceful_shutdown_timeout=DRAIN,
            deployment_config=WorkerDeploymentConfig(
                version=WorkerDeploymentVersion(deployment_name=manifest.name, build_id=manifest.version),
                use_worker_versioning=False,
            ),
        )
        async with worker, await health(manifest):
            log.info("agent %s %s works on %s", manifest.name, manifest.version, manifest.task_queue)
            await stop.wait()
            log.info("agent %s stops: no new tasks are taken", manifest.name)


async def health(manifest: Manifest) -> asyncio.Server:
    """Serve /livez, /readyz and /metrics on loopback; TARTAN_AGENT_PORT says where, 0 is any free port."""
    port = int(os.environ.get("TARTAN_AGENT_PORT", "0"))
    server = await asyncio.start_server(lambda r, w: _answer(manifest, r, w), os.environ.get("TARTAN_AGENT_HOST", "127.0.0.1"), port)
    log.info("health and metrics at http://127.0.0.1:%s", server.sockets[0].getsockname()[1])
    return server


async def _answer(manifest: Manifest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        line = await asyncio.wait_for(reader.readline(), 2)
        path = line.split(b" ")[1] if line.count(b" ") == 2 else b""
        used = resident_mb()
        fits = used <= manifest.limits.memory_mb
        status, body = {
            b"/livez": ("200 OK", b"ok\n"),
            b"/readyz": (
                "200 OK" if fits else "503 Service Unavailable",
                f"memory {used} of {manifest.limits.memory_mb} MB\n".encode(),
            ),
            b"/metrics": ("200 OK", generate_latest()),
        }.get(path, ("404 Not Found", b"known are /livez, /readyz and /metrics\n"))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()


def resident_mb() -> int:
    """Return the resident memory of this process in MB: now where the system tells it, at its highest elsewhere."""
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * resource.getpagesize() // 1_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
