#!/usr/bin/env python3
"""Makes collections of questions for one known document of those in BEIR's layout: known.py FROM TO.

For each folder X of FROM there come TO/X-titles, where the title of a document is taken out of it and asked for, and TO/X-sentences, where a
sentence of its text is. 400 documents each, chosen by a fixed seed; the others stay as they are.
"""
import json
import pathlib
import random
import re
import sys


def write(folder, docs, queries):
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    with open(folder / "corpus.jsonl", "w") as f:
        f.writelines(json.dumps(d) + "\n" for d in docs)
    with open(folder / "queries.jsonl", "w") as f:
        f.writelines(json.dumps({"_id": f"q{i}", "text": text}) + "\n" for i, (_, text) in enumerate(queries))
    with open(folder / "qrels" / "test.tsv", "w") as f:
        f.write("query-id\tcorpus-id\tscore\n")
        f.writelines(f"q{i}\t{doc}\t1\n" for i, (doc, _) in enumerate(queries))


def main(source, target):
    for folder in sorted(p.parent for p in pathlib.Path(source).glob("*/corpus.jsonl")):
        docs = [json.loads(line) for line in open(folder / "corpus.jsonl") if line.strip()]
        for kind in ("titles", "sentences"):
            chosen, queries, out = random.Random(1), [], [dict(d) for d in docs]
            for i in chosen.sample(range(len(out)), len(out)):
                d = out[i]
                title = d.get("title") or ""
                if kind == "titles":
                    ask = title
                    rest = d["text"].replace(title, " ") if title else ""
                else:
                    parts = re.split(r"(?<=[.!?])\s+", d["text"])
                    ask = chosen.choice(parts)
                    rest = d["text"].replace(ask, " ")
                if len(ask.split()) < 4 or len(rest.split()) < 10:
                    continue
                d["text"] = rest
                if kind == "titles":
                    d["title"] = ""
                queries.append((d["_id"], ask))
                if len(queries) == 400:
                    break
            if len(queries) >= 50:
                write(pathlib.Path(target) / f"{folder.name}-{kind}", out, queries)


main(*sys.argv[1:3])
