"""Fits the table: a vector a token, whose sum over a sentence points where the model's vector of the sentence points."""

from __future__ import annotations

import struct

import numpy as np
from scipy.sparse import csr_matrix

MAGIC = b"tartanv1"
COMMON = 1e-3  # tokens more frequent than this are weighed down, as in Arora et al., A simple but tough-to-beat baseline (2017)


def bags(ids: list[list[int]], width: int) -> csr_matrix:
    """How often each token is in each text."""
    rows = np.repeat(np.arange(len(ids)), [len(t) for t in ids])
    cols = np.fromiter((t for text in ids for t in text), np.int64, len(rows))
    return csr_matrix((np.ones(len(rows), np.float32), (rows, cols)), shape=(len(ids), width))


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def start(tokens: np.ndarray, sentences: np.ndarray, bag: csr_matrix, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The plain distillation: the model's vector of each token alone, in the directions in which sentences differ most,
    weighed by how rare it is. Returns also the projection."""
    values, directions = np.linalg.eigh(sentences.T.astype(np.float64) @ sentences)
    onto = directions[:, ::-1][:, :dim]
    onto *= np.where(onto[np.abs(onto).argmax(0), np.arange(dim)] < 0, -1, 1)  # eigenvectors have no sign of their own
    share = np.asarray(bag.sum(0)).ravel() / bag.sum()
    weight = COMMON / (COMMON + share)
    return (tokens @ onto * weight[:, None]).astype(np.float32), onto.astype(np.float32)


def fit(table: np.ndarray, bag: csr_matrix, sentences: np.ndarray, onto: np.ndarray, *, epochs: int, batch: int, rate: float, pairs: float, keep: float, seed: int, report=None):
    """Adam on two losses: the angle between a bag and its sentence, and the difference of all similarities in a batch.
    Rows of tokens that occur nowhere stay as they are; keep pulls the others back to where they started."""
    first = table.copy()
    m, v = np.zeros_like(table), np.zeros_like(table)
    aims = unit(sentences @ onto)
    draw = np.random.default_rng(seed)
    steps = epochs * (bag.shape[0] // batch)
    step = 0
    for epoch in range(epochs):
        order = draw.permutation(bag.shape[0])
        losses = []
        for at in range(0, len(order) - batch + 1, batch):
            rows = np.sort(order[at : at + batch])
            x = bag[rows]
            sums = x @ table
            length = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
            u = sums / length
            off = u @ u.T - sentences[rows] @ sentences[rows].T
            np.fill_diagonal(off, 0)
            slope = -aims[rows] / batch + (4 * pairs / batch**2) * (off @ u)
            slope = (slope - u * (slope * u).sum(1, keepdims=True)) / length
            grad = x.T @ slope + (keep / batch) * (table - first)
            step += 1
            m += 0.1 * (grad - m)
            v += 0.001 * (grad * grad - v)
            pace = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            table -= pace * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
            losses.append((1 - (u * aims[rows]).sum(1).mean(), (off**2).mean()))
        if report:
            report(epoch, *np.mean(losses, axis=0), table)
    return table


def quantized(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A byte a component, and a scale a row."""
    scales = (np.abs(table).max(1) / 127).astype(np.float32)
    codes = np.rint(table / np.maximum(scales, 1e-12)[:, None]).clip(-127, 127).astype(np.int8)
    return codes, scales


def encode(words: list[str], codes: np.ndarray, scales: np.ndarray) -> bytes:
    text = "\n".join(words).encode()
    head = MAGIC + struct.pack("<III", codes.shape[1], codes.shape[0], len(text))
    return head + text + scales.astype("<f4").tobytes() + codes.tobytes()


def decode(body: bytes) -> tuple[list[str], np.ndarray]:
    dim, rows, letters = struct.unpack_from("<III", body, len(MAGIC))
    at = len(MAGIC) + 12
    words = body[at : at + letters].decode().split("\n")
    at += letters
    scales = np.frombuffer(body, "<f4", rows, at)
    return words, np.frombuffer(body, np.int8, rows * dim, at + 4 * rows).reshape(rows, dim) * scales[:, None]
