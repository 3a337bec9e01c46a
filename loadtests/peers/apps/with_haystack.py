"""Haystack: `QueryExpander`, `MultiQueryTextRetriever` and `DocumentJoiner` in a pipeline.

- The expander takes chat generators alone and wants JSON; as its documentation shows, the engine
  is told the schema, so that it writes nothing else. A list that `max_tokens` cuts short is no
  JSON, and then the expander has no query at all.
- Its integration of OpenSearch searches by words; the query of the gateway is a `custom_query`.
  Which fields of a hit are read cannot be said: it reads all that are stored.
- All queries of a user are searched at once (`max_workers`, by default 3).
- The retriever merges by the hits' own scores; the joiner is there to cut its list to `limit`.
"""

from __future__ import annotations

from haystack import Pipeline
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.joiners import DocumentJoiner
from haystack.components.query import QueryExpander
from haystack.components.retrievers import MultiQueryTextRetriever
from haystack.utils import Secret
from haystack_integrations.components.retrievers.opensearch import OpenSearchBM25Retriever
from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore

from loadtests.peers.apps.asked import Found, Options, by_words, list_schema


class Haystack:
    """A `Peer`."""

    def __init__(self, options: Options) -> None:
        wanted = {"name": "query_expansion", "strict": True, "schema": list_schema(options)}
        generator = OpenAIChatGenerator(
            api_key=Secret.from_token("none"),
            model=options.model,
            api_base_url=options.engine,
            generation_kwargs={
                "max_tokens": options.max_tokens,
                "temperature": 0,
                "response_format": {"type": "json_schema", "json_schema": wanted},
            },
        )
        store = OpenSearchDocumentStore(
            hosts=options.opensearch, index=options.index, create_index=False, pool_maxsize=32
        )
        retriever = OpenSearchBM25Retriever(
            document_store=store,
            top_k=options.hits,
            custom_query={"query": by_words("$query", options)["query"]},
        )
        self._pipeline = Pipeline()
        expander = QueryExpander(
            chat_generator=generator,
            n_expansions=options.queries,
            include_original_query=False,
        )
        self._pipeline.add_component("expander", expander)
        self._pipeline.add_component(
            "retriever",
            MultiQueryTextRetriever(retriever=retriever, max_workers=options.queries),
        )
        self._pipeline.add_component("joiner", DocumentJoiner(top_k=options.limit))
        self._pipeline.connect("expander.queries", "retriever.queries")
        self._pipeline.connect("retriever.documents", "joiner.documents")

    async def candidates(self, question: str) -> list[Found]:
        """See `Peer`."""
        answer = await self._pipeline.run_async({"expander": {"query": question}})
        documents = answer["joiner"]["documents"]
        return [Found(one.id, str(one.meta["title"])) for one in documents]
