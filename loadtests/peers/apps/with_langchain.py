"""LangChain: `MultiQueryRetriever` over a retriever of its own.

- The prompt is the default one with another number: the default asks for 3 queries, and the number
  is a part of its text. The documentation calls this supplying your own prompt.
- Its integration of OpenSearch searches by vectors alone, and its searches have no asynchronous
  form; searching by words is a custom retriever, as the documentation shows one.
- What it returns is the union of what the queries found, in the queries' order: it ranks nothing,
  so the candidates are the first `limit` of the union.
- It searches every line that the model writes, however many were asked for; the parser of its
  chain is therefore one that takes the first `queries` lines.
"""

from __future__ import annotations

from typing import Any

from langchain_classic.retrievers.multi_query import LineListOutputParser, MultiQueryRetriever
from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_openai import OpenAI
from opensearchpy import AsyncOpenSearch

from loadtests.peers.apps.asked import Found, Options, by_words, lines_shape

_PROMPT = """You are an AI language model assistant. Your task is
    to generate {queries} different versions of the given user
    question to retrieve relevant documents from a vector  database.
    By generating multiple perspectives on the user question,
    your goal is to help the user overcome some of the limitations
    of distance-based similarity search. Provide these alternative
    questions separated by newlines. Original question: {question}"""


class _FirstLines(LineListOutputParser):
    """The first lines of what the model wrote."""

    most: int

    def parse(self, text: str) -> list[str]:
        return super().parse(text)[: self.most]


class _Articles(BaseRetriever):
    """Searches the article index by words."""

    client: Any
    options: Options

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        raise NotImplementedError("it is asked asynchronously alone")

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        body = by_words(query, self.options)
        answer = await self.client.search(index=self.options.index, body=body)
        sources = [hit["_source"] for hit in answer["hits"]["hits"]]
        return [Document(id=source["id"], page_content=source["title"]) for source in sources]


class LangChain:
    """A `Peer`."""

    def __init__(self, options: Options) -> None:
        self._limit = options.limit
        llm = OpenAI(
            base_url=options.engine,
            api_key="none",
            model=options.model,
            max_tokens=options.max_tokens,
            temperature=0,
            extra_body=lines_shape(options),
        )
        prompt = PromptTemplate.from_template(_PROMPT).partial(queries=str(options.queries))
        client = AsyncOpenSearch(options.opensearch, pool_maxsize=32)
        self._retriever = MultiQueryRetriever(
            retriever=_Articles(client=client, options=options),
            llm_chain=prompt | llm | _FirstLines(most=options.queries),
        )

    async def candidates(self, question: str) -> list[Found]:
        """See `Peer`."""
        documents = await self._retriever.ainvoke(question)
        return [Found(str(one.id), one.page_content) for one in documents[: self._limit]]
