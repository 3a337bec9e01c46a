#!/usr/bin/env bash
# LangChain's MultiQueryRetriever compares every document found with every one before it, within the event loop.
#
# langchain-classic 1.0.8 with langchain-core 1.8.3 from PyPI, Python 3.11.
#
# Guessed: the union of what 8 queries found, 50 documents each with an id, takes well under 5 ms, and twice as
# long for twice as many: documents have ids, and a union goes by them.
# Seen on 2026-11-28: 400 different documents are compared 79,800 times, as whole models, field by field, and the
# list of those before is copied for each. That took 98 ms here, and four times as long for twice as many; the
# asynchronous retriever does it without giving way, so that all other requests of the process stand still. Documents with the same id whose metadata differ, say
# by the score that each query gave, are not the same and stay in twice.
#
# Fails if 400 documents are compared fewer than 10,000 times.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  langchain-classic==1.0.8 langchain-core==1.8.3

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import asyncio
import time

from langchain_classic.retrievers.multi_query import MultiQueryRetriever
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda

compared = 0


class Counted(Document):
    def __eq__(self, other):
        global compared
        compared += 1
        return super().__eq__(other)


class Articles(BaseRetriever):
    """Fifty articles for each query, none of them twice."""

    kind: type[Document] = Document

    def _get_relevant_documents(self, query, *, run_manager):
        return [self.kind(id=f"{query}-{at}", page_content=f"article {at}") for at in range(50)]

    async def _aget_relevant_documents(self, query, *, run_manager):
        return self._get_relevant_documents(query, run_manager=run_manager)


async def longest_pause(queries, kind):
    """What the retriever found, and the longest time in which nothing else could run, in seconds."""
    lines = RunnableLambda(lambda _: [f"query {number}" for number in range(queries)])
    retriever = MultiQueryRetriever(retriever=Articles(kind=kind), llm_chain=lines)
    asking = asyncio.ensure_future(retriever.ainvoke("what is new"))
    longest, before = 0.0, time.perf_counter()
    while not asking.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return len(asking.result()), longest


asyncio.run(longest_pause(1, Document))  # imports
for queries in (8, 16):
    found, pause = asyncio.run(longest_pause(queries, Document))
    print(f"{queries} queries, {found} documents: the loop stood still for {1000 * pause:.0f} ms")
asyncio.run(longest_pause(8, Counted))
print(f"comparisons of 400 documents: {compared:,}")
raise SystemExit(compared < 10_000)
PYTHON
echo "as seen"
