"""The kit of Tartan's agents: an agent hosts activities on a task queue of its own, and is alive while its worker polls."""

from tartan_agent.app import App, run
from tartan_agent.contract import Contract, RefusedError
from tartan_agent.grants import Grant, GrantError, Keys
from tartan_agent.manifest import Manifest, ManifestError, load
from tartan_agent.plugin import TartanPlugin

__all__ = [
    "App",
    "Contract",
    "Grant",
    "GrantError",
    "Keys",
    "Manifest",
    "ManifestError",
    "RefusedError",
    "TartanPlugin",
    "load",
    "run",
]
