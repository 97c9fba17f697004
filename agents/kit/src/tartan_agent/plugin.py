"""The Temporal plugin of the kit: what is done around each activity of an agent."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, cast

import temporalio.activity
import temporalio.worker
from prometheus_client import Counter, Histogram
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin

from tartan_agent.contract import RefusedError, Unreadable, converter
from tartan_agent.grants import HEADER, GrantError, Keys, check, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from tartan_agent.manifest import Manifest

TASKS = Counter("tartan_agent_activities_total", "Activity tasks by their end.", ["agent", "activity", "outcome"])
TOOK = Histogram(
    "tartan_agent_activity_duration_seconds",
    "From the start of an activity task to its end.",
    ["agent", "activity"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60),
)


class TartanPlugin(SimplePlugin):
    """Checks grants and counts tasks. Its name shows in the worker's heartbeat."""

    def __init__(self, manifest: Manifest, keys: Keys | None) -> None:
        """Without keys no grant is asked for: `tartan up` and production always give them."""
        interceptors: list[temporalio.worker.Interceptor] = [_Interceptor(manifest, keys)]
        name = f"tartan-agent/{manifest.name}/{manifest.version}"
        super().__init__(name, data_converter=converter, interceptors=interceptors)  # pyright: ignore[reportUnknownMemberType]


class _Interceptor(temporalio.worker.Interceptor):
    def __init__(self, manifest: Manifest, keys: Keys | None) -> None:
        self._manifest = manifest
        self._keys = keys

    def intercept_activity(self, next: temporalio.worker.ActivityInboundInterceptor) -> temporalio.worker.ActivityInboundInterceptor:
        return _Inbound(next, self._manifest, self._keys)


class _Inbound(temporalio.worker.ActivityInboundInterceptor):
    def __init__(self, next: temporalio.worker.ActivityInboundInterceptor, manifest: Manifest, keys: Keys | None) -> None:
        super().__init__(next)
        self._manifest = manifest
        self._keys = keys

    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        info = temporalio.activity.info()
        labels = (self._manifest.name, info.activity_type)
        began, outcome = time.perf_counter(), "failed"
        try:
            self._admit(input, info)
            for given in input.args:
                if isinstance(given, Unreadable):
                    raise RefusedError(given.why)
            async with _Heartbeat(info.heartbeat_timeout, inspect.iscoroutinefunction(input.fn)):
                result = await super().execute_activity(input)
            outcome = "completed"
        except GrantError as e:
            outcome = "refused"
            raise ApplicationError(str(e), type="GrantRefused", non_retryable=True) from None
        except RefusedError as e:
            outcome = "refused"
            raise ApplicationError(str(e), type="InputRefused", non_retryable=True) from None
        else:
            return result
        finally:
            TASKS.labels(*labels, outcome).inc()
            TOOK.labels(*labels).observe(time.perf_counter() - began)

    def _admit(self, input: temporalio.worker.ExecuteActivityInput, info: temporalio.activity.Info) -> None:
        if self._keys is None:
            return
        payload = input.headers.get(HEADER)
        if payload is None:
            raise GrantError("the task carries no grant")
        # What counts is when the server scheduled the task: one that waits out an outage is still what the workflow asked for.
        grant = verify(payload.data.decode("ascii", "replace").strip('"'), self._keys, info.scheduled_time.timestamp())
        check(
            grant,
            agent=self._manifest.name,
            activity=info.activity_type,
            workflow_id=info.workflow_id or "",
            workspace_id=_workspace(input.args),
        )


class _Heartbeat:
    """Tells the server that the task is still worked on, so that one whose agent died is soon given to another."""

    def __init__(self, timeout: timedelta | None, on_loop: bool) -> None:
        self._every = timeout.total_seconds() / 3 if timeout else 0.0
        self._on_loop = on_loop
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        if self._every > 0:
            self._task = asyncio.create_task(self._beat())

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            if self._on_loop:
                temporalio.activity.heartbeat()
            else:  # that of a function in a thread waits for the event loop, and would wait for itself here
                await asyncio.to_thread(temporalio.activity.heartbeat)


def _workspace(args: Sequence[object]) -> str | None:
    """Return the workspace that the input says it acts in, as Go's inputs do: {"caller": {"workspace_id": ...}}."""
    caller = _field(args[0], "caller") if args else None
    found = _field(caller, "workspace_id")
    return found if isinstance(found, str) else None


def _field(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else getattr(value, name, None)
