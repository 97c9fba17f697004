"""What the Go tokenizer is compared with: how the model's own tokenizer cuts texts of all kinds."""

from __future__ import annotations

import random
import unicodedata

from minilm.bert import MiniLM

BLOCKS = [
    (0x20, 0x7E), (0x20, 0x7E), (0xA0, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
    (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2190, 0x22FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
    (0xE000, 0xE010), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFF00, 0xFFEF), (0x1F300, 0x1F64F), (0x20000, 0x20100), (0x0, 0x1F), (0x7F, 0x9F), (0xFFFC, 0xFFFD),
]
WORDS = "the Connection REFUSED naïve façade Straße ΟΔΥΣΣΕΥΣ Москва été 東京都 ひらがな 한국어 cafe\u0301 error=0x7fff co-operate don't U.S.A. $3.50 1,234 a\u00adb İstanbul ﬁne ½ ① unbelievably internationalization".split()


def follows_unicode(model: MiniLM, c: str) -> bool:
    """The tokenizer knows an old Unicode. Characters that have come since, which it lets pass where today's category says to drop
    them or to set them apart, are none of the Go tokenizer's business."""
    kind = unicodedata.category(c)
    if kind == "Cn":
        return False
    normal = model.tokenizer.normalizer.normalize_str("a" + c + "b")
    parts = len(model.tokenizer.pre_tokenizer.pre_tokenize_str("a" + c + "b"))
    if kind in ("Cf", "Mn"):
        return normal == "ab"
    if kind == "Mc":
        return normal != "ab"
    return ord(c) < 128 or (parts == 3) == kind.startswith("P")


def texts(model: MiniLM) -> list[str]:
    draw = random.Random(20)
    alphabet = [[c for c in map(chr, range(a, b + 1)) if follows_unicode(model, c)] for a, b in BLOCKS]
    out = ["", " ", "Hello, World!", "x" * 100, "x" * 101, "é" * 100, "a" * 300 + " b", "\u0301", "=\u0338", "\u037e", "don't", "tokens[5]", *WORDS]
    for _ in range(700):
        parts = []
        for _ in range(draw.randint(1, 8)):
            if draw.random() < 0.4:
                parts.append(draw.choice(WORDS))
            else:
                block = draw.choice(alphabet)
                parts.append("".join(draw.choice(block) for _ in range(draw.randint(1, 7))))
            parts.append(draw.choice([" ", "", "\t", "\u00a0", "\u3000", "\n"]))
        out.append("".join(parts))
    return out


def tokens(model: MiniLM) -> list[dict]:
    return [{"text": t, "tokens": model.tokenizer.encode(t, add_special_tokens=False).tokens} for t in texts(model)]
