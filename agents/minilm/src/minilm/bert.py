"""A forward pass of all-MiniLM-L6-v2 in numpy: BERT, mean pooling, unit length. It needs no framework and no download at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_TOKENS = 256
TOKENS_A_BATCH = 2048  # what the caches hold


Floats = np.ndarray[Any, np.dtype[np.float32]]


def erf(x: Floats) -> Floats:
    """Return the error function to 1.5e-7, by Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.

    numpy has none, and scipy's is three times slower.
    """
    a = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * a)
    p = np.float32(1.061405429)
    for c in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        p = p * t + np.float32(c)
    return np.copysign(1 - p * t * np.exp(-a * a), x)


class MiniLM:
    """The model: weights and tokenizer."""

    def __init__(self, folder: Path) -> None:
        """Load model.safetensors and tokenizer.json of a folder."""
        self.w = cast("dict[str, Floats]", load_file(folder / "model.safetensors"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    def ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text with [CLS] and [SEP]."""
        return [e.ids[: MAX_TOKENS - 1] + e.ids[-1:] if len(e.ids) > MAX_TOKENS else e.ids for e in self.tokenizer.encode_batch(texts)]

    def embed(self, texts: list[str], report: Callable[[int, int], None] | None = None) -> Floats:
        """Return unit vectors, one a text."""
        return self.embed_ids(self.ids(texts), report)

    def embed_ids(self, ids: list[list[int]], report: Callable[[int, int], None] | None = None) -> Floats:
        """Return unit vectors, one a text. Texts of one length make a batch, so nothing is padded and nothing is masked."""
        out = np.zeros((len(ids), 384), np.float32)
        by_length: dict[int, list[int]] = {}
        for i, t in enumerate(ids):
            by_length.setdefault(len(t), []).append(i)
        done = 0
        for length, members in sorted(by_length.items()):
            step = max(1, TOKENS_A_BATCH // length)
            for at in range(0, len(members), step):
                rows = members[at : at + step]
                out[rows] = self.forward(np.array([ids[i] for i in rows]))
                done += len(rows)
                if report:
                    report(done, len(ids))
        return out

    def norm(self, x: Floats, name: str) -> Floats:
        """Normalise each row, then scale and shift it by the weights of the name."""
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * self.w[name + ".weight"] + self.w[name + ".bias"]

    def linear(self, x: Floats, name: str) -> Floats:
        """Multiply by the weights of the name, and add its bias."""
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def forward(self, ids: np.ndarray[Any, Any]) -> Floats:
        """Pooled unit vectors of token ids, shape (texts, tokens)."""
        batch, length = ids.shape
        w = self.w
        x = (
            w["embeddings.word_embeddings.weight"][ids]
            + w["embeddings.position_embeddings.weight"][:length]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self.norm(x, "embeddings.LayerNorm").reshape(-1, 384)
        for layer in range(6):
            p = f"encoder.layer.{layer}."
            heads = [self.linear(x, f"{p}attention.self.{n}").reshape(batch, length, 12, 32).transpose(0, 2, 1, 3) for n in ("query", "key", "value")]
            scores = heads[0] @ heads[1].transpose(0, 1, 3, 2) / np.float32(np.sqrt(32))
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            seen = (scores @ heads[2]).transpose(0, 2, 1, 3).reshape(-1, 384)
            x = self.norm(x + self.linear(seen, p + "attention.output.dense"), p + "attention.output.LayerNorm")
            y = self.linear(x, p + "intermediate.dense")
            y *= np.float32(0.5) * (1 + erf(y / np.float32(np.sqrt(2))))
            x = self.norm(x + self.linear(y, p + "output.dense"), p + "output.LayerNorm")
        v = x.reshape(batch, length, 384).mean(1)
        return v / np.linalg.norm(v, axis=1, keepdims=True)
