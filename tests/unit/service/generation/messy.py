"""What students of all kinds write, and the queries that are in it: (name, output, finished, …)."""

from __future__ import annotations

from typing import NamedTuple


class Messy(NamedTuple):
    name: str
    output: str
    queries: list[str]
    finished: bool = True


FED, QUAKE, CUP = "fed interest rate cut", "turkey earthquake relief", "world cup squad news"
ALL = [FED, QUAKE, CUP]

CORPUS = [
    Messy("plain lines", f"{FED}\n{QUAKE}\n{CUP}\n", ALL),
    Messy("windows line ends", f"{FED}\r\n{QUAKE}\r\n{CUP}", ALL),
    Messy("blank lines between", f"\n\n{FED}\n\n{QUAKE}\n \n{CUP}\n\n", ALL),
    Messy("numbers with dots", f"1. {FED}\n2. {QUAKE}\n3. {CUP}", ALL),
    Messy("numbers with brackets", f"1) {FED}\n(2) {QUAKE}\n[3] {CUP}", ALL),
    Messy("numbers without a blank", f"1.{FED}\n2.{QUAKE}\n3.{CUP}", ALL),
    Messy("numbers going on from a cue", f" {FED}\n2. {QUAKE}\n3. {CUP}\n4.", ALL),
    Messy("bullets", f"- {FED}\n* {QUAKE}\n• {CUP}", ALL),
    Messy("bullets and numbers", f"- 1. {FED}\n- 2. {QUAKE}\n- 3. {CUP}", ALL),
    Messy("double quotes", f'"{FED}"\n"{QUAKE}"\n"{CUP}"', ALL),
    Messy("curly quotes and commas", f"“{FED}”,\n“{QUAKE}”,\n‘{CUP}’,", ALL),
    Messy(
        "quotes with reasons", f'1. "{FED}" - they read about rates\n2. "{QUAKE}" (news)', ALL[:2]
    ),
    Messy("quoted list on a line", f'"{FED}", "{QUAKE}", "{CUP}"', ALL),
    Messy("bold", f"**{FED}**\n1. **{QUAKE}**\n__{CUP}__", ALL),
    Messy("bold label", f"**Query 1:** {FED}\n**Query 2:** {QUAKE}", ALL[:2]),
    Messy("labels", f"Query: {FED}\nSearch query: {QUAKE}\nQuery 3 - {CUP}", ALL),
    Messy("preamble", f"Here are the search queries:\n\n{FED}\n{QUAKE}", ALL[:2]),
    Messy(
        "polite preamble", f"Sure! Here are 3 news queries for you:\n1. {FED}\n2. {QUAKE}", ALL[:2]
    ),
    Messy("preamble on the line", f"Here is a list of queries: {FED}\n{QUAKE}", ALL[:2]),
    Messy(
        "closing words",
        f"{FED}\n{QUAKE}\n\nThese queries cover the interests.\nLet me know if I can help!",
        ALL[:2],
    ),
    Messy("headings", f"## Queries\n### Economy:\n{FED}\n### World:\n{QUAKE}", ALL[:2]),
    Messy("JSON list", f'["{FED}", "{QUAKE}", "{CUP}"]', ALL),
    Messy("JSON over lines", f'[\n  "{FED}",\n  "{QUAKE}",\n  "{CUP}",\n]', ALL),
    Messy("JSON object", f'{{"queries": ["{FED}", "{QUAKE}"], "language": "en"}}', ALL[:2]),
    Messy(
        "JSON objects",
        f'[{{"query": "{FED}", "reason": "bank page"}}, {{"query": "{QUAKE}", "reason": "x"}}]',
        ALL[:2],
    ),
    Messy("JSON lines", f'{{"query": "{FED}"}}\n{{"query": "{QUAKE}"}}\n', ALL[:2]),
    Messy("JSON cut in a string", f'["{FED}", "{QUAKE}", "world cu', ALL[:2], False),
    Messy("JSON cut after a string", f'["{FED}", "{QUAKE}"', ALL[:2], False),
    Messy(
        "JSON with escapes",
        '["caf\\u00e9 strikes", "the \\"big\\" game"]',
        ["café strikes", "the big game"],
    ),
    Messy(
        "Python list",
        f"['{FED}', 'trump's tariff plan', '{CUP}']",
        [FED, "trump's tariff plan", CUP],
    ),
    Messy("fenced JSON", f'```json\n["{FED}", "{QUAKE}"]\n```\nDone.', ALL[:2]),
    Messy("fenced lines", f"```\n{FED}\n{QUAKE}\n```", ALL[:2]),
    Messy("label and JSON", f'Queries: ["{FED}", "{QUAKE}"]', ALL[:2]),
    Messy("tags", f"<queries>\n<query>{FED}</query>\n<query>{QUAKE}</query>\n</queries>", ALL[:2]),
    Messy("tags on one line", f"<q>{FED}</q><q>{QUAKE}</q>", ALL[:2]),
    Messy("inline tags", "fed <b>interest</b> rate cut", [FED]),
    Messy("cut in a tag", f"<query>{FED}</query>\n<query>{QUAKE}</query>\n<que", ALL[:2], False),
    Messy(
        "chat markers",
        f"<|im_start|>assistant\n{FED}\n{QUAKE}<|im_end|>\n<|im_start|>assistant\n{FED}<|im_end|>",
        ALL[:2],
    ),
    Messy(
        "a made-up turn of the user",
        f"{FED}\n{QUAKE}<|im_end|>\n<|im_start|>user\nSignals: shoes\n<|im_end|>\n{CUP}",
        ALL[:2],
    ),
    Messy("roles without markers", f"assistant\n{FED}\n{QUAKE}\nuser\nmore please", ALL[:2]),
    Messy(
        "Llama's markers",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{FED}<|eot_id|>",
        [FED],
    ),
    Messy(
        "a thought first", f"<think>\nThe user likes money.\n</think>\n\n{FED}\n{QUAKE}", ALL[:2]
    ),
    Messy("the end of a thought", f"so the user likes money.\n</think>\n{FED}", [FED]),
    Messy("cut last line", f"{FED}\n{QUAKE}\nworld cu", ALL[:2], False),
    Messy("cut right after a line end", f"{FED}\n{QUAKE}\n", ALL[:2], False),
    Messy("cut only line", "fed interest ra", ["fed interest ra"], False),
    Messy(
        "preamble and a cut line",
        "Here are the queries:\nfed interest ra",
        ["fed interest ra"],
        False,
    ),
    Messy(
        "invisible characters",
        f"\ufefffed\u200b interest\u00a0rate\u0007 cut\n{QUAKE}\x00",
        ALL[:2],
    ),
    Messy("decomposed letters", "cafe\u0301 strikes", ["café strikes"]),
    Messy(
        "repeats in other forms", f"{FED}\nFed Interest Rates Cut\nCut the fed interest rate", [FED]
    ),
    Messy("the loop of a small model", f"{FED}\n" * 400, [FED]),
    Messy("hashtags", "#climate #summit\n#energy prices", ["climate summit", "energy prices"]),
    Messy(
        "numbers that are part of it",
        "2026 election\n3.5 million jobs lost\n49ers trade",
        ["2026 election", "3.5 million jobs lost", "49ers trade"],
    ),
    Messy("rulers and dots", f"---\n{FED}\n***\n...\n{QUAKE}\n===", ALL[:2]),
    Messy("echoed signals", f"[search] {FED}\nnews: {QUAKE}", ALL[:2]),
    Messy("markdown links", f"[{FED}](https://example.org/a)\n`{QUAKE}`", ALL[:2]),
    Messy("a line of prose", f"{FED}\n" + "and so on " * 30 + f"\n{QUAKE}", ALL[:2]),
    Messy(
        "other scripts",
        "地震 トルコ\nвыборы 2026\nانتخابات",
        ["地震 トルコ", "выборы 2026", "انتخابات"],
    ),
]
