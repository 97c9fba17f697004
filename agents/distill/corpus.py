"""The sentences that the table is trained on, and the pairs that it is measured on. Both come out of pinned packages."""

from __future__ import annotations

import gzip
import hashlib
import html
import importlib
import inspect
import json
import pkgutil
import random
import re
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

TAG = re.compile(r"<[^>]+>")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
HELD_OUT = 16  # one synset in so many is never trained on


def digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def wordnet(folder: Path):
    """WordNet 3.1: (synset, definition, examples) of every synset, in the order of the files."""
    for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if line.startswith(" ") or "|" not in line:
                continue
            head, gloss = line.split("|", 1)
            definition, *examples = [part.strip() for part in re.split(r';\s*(?=")', gloss)]
            examples = [e.strip('"; ').split('"')[0].strip() for e in examples]
            yield name + head[:8], definition.strip("; "), [e for e in examples if len(e) > 8]


def botocore(seed: int, want: int) -> list[str]:
    """Sentences of the documentation of AWS's interfaces, as the package botocore carries it."""
    import botocore as package

    found: dict[str, None] = {}

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "documentation" and isinstance(value, str):
                    text = " ".join(html.unescape(TAG.sub(" ", value)).split())
                    for sentence in SENTENCE.split(text):
                        if 40 <= len(sentence) <= 220:
                            found[sentence] = None
                else:
                    walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for path in sorted((Path(package.__file__).parent / "data").rglob("service-2.json.gz")):
        walk(json.loads(gzip.decompress(path.read_bytes())))
    return random.Random(seed).sample(sorted(found), want)


def train(folder: Path, definitions: int, services: int) -> list[str]:
    glosses, examples = [], []
    for synset, definition, said in wordnet(folder):
        if digest(synset) % HELD_OUT:
            glosses.append(definition)
            examples.extend(said)
    glosses = random.Random(1).sample(glosses, definitions)
    held = {s for g in held_out(folder) for s in g}
    texts = dict.fromkeys(examples + glosses + botocore(2, services))
    return [t for t in texts if t not in held]


def held_out(folder: Path) -> list[list[str]]:
    """The texts of the synsets that are not trained on, a list a synset."""
    return [said + [definition] for synset, definition, said in wordnet(folder) if digest(synset) % HELD_OUT == 0]


def docstrings() -> list[list[str]]:
    """Sentences of the docstrings of numpy and scipy, a list a function. Nothing of them is trained on."""
    groups: dict[str, list[str]] = {}
    for root in ("numpy", "scipy"):
        package = importlib.import_module(root)
        names = [root] + sorted(f"{root}.{m.name}" for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_") and m.name not in ("conftest", "tests", "f2py", "distutils"))
        for name in names:
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            for key in sorted(dir(module)):
                text = inspect.getdoc(getattr(module, key, None)) if not key.startswith("_") else None
                prose = [" ".join(p.split()) for p in (text or "").split("\n\n") if not re.search(r"^\s*(>>>|-{3,}|\.\. )|[`_=\\]{2}|:math:|----", p, re.M)]
                kept = [s for p in prose for s in SENTENCE.split(p) if 40 <= len(s) <= 220 and re.match(r"^[A-Z][^:=\[\]{}|]+\.$", s)]
                if kept:
                    groups.setdefault(" ".join(kept[:1]), kept)
    return list(groups.values())


def abstracts(path: Path) -> list[list[str]]:
    """Sentences of a collection of abstracts, a list a document. For measuring alone."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = " ".join(json.loads(line).get("text", "").split())
        kept = [s for s in re.split(r"(?<=[.!?]) +", text) if 40 <= len(s) <= 220]
        if kept:
            out.append(kept)
    return out


def nearest(texts: list[str], row: int, vectors: csr_matrix) -> int:
    """The other text with the greatest tf-idf cosine: near in words, by a measure that is neither of the two compared."""
    scores = np.asarray((vectors @ vectors[row].T).todense()).ravel()
    for other in np.argsort(-scores, kind="stable"):
        if texts[other].lower() != texts[row].lower():
            return int(other)
    raise ValueError("all texts are equal")


def tfidf(texts: list[str]) -> csr_matrix:
    words: dict[str, int] = {}
    rows, cols = [], []
    for i, text in enumerate(texts):
        for word in set(re.findall(r"[a-z]+", text.lower())):
            rows.append(i)
            cols.append(words.setdefault(word, len(words)))
    m = csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(len(texts), len(words)))
    idf = np.log(len(texts) / np.asarray(m.sum(0)).ravel())
    m = csr_matrix(m.multiply(idf))
    return csr_matrix(m.multiply(1 / np.maximum(np.sqrt(np.asarray(m.multiply(m).sum(1))), 1e-9)))


def pairs(groups: list[list[str]], want: int, seed: int) -> list[tuple[str, str]]:
    """Sentence pairs: a third with the nearest text by tf-idf, a third of one group (a synset, a function), a third by chance."""
    draw = random.Random(seed)
    texts = list(dict.fromkeys(t for g in groups for t in g))
    vectors = tfidf(texts)
    many = [g for g in groups if len(set(g)) > 1]
    out = []
    for i in range(want):
        if i % 3 == 0:
            row = draw.randrange(len(texts))
            out.append((texts[row], texts[nearest(texts, row, vectors)]))
        elif i % 3 == 1:
            out.append(tuple(draw.sample(sorted(set(draw.choice(many))), 2)))
        else:
            out.append(tuple(draw.sample(texts, 2)))
    return out
