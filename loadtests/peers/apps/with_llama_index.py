"""LlamaIndex: `QueryFusionRetriever` with reciprocal rank fusion, over a retriever of its own.

- The prompt is the default one, which takes the number of queries.
- It always searches the question itself, too, and counts it among `num_queries`; so that as many
  are generated as elsewhere, it searches one more.
- Its integration of OpenSearch searches by words in one field of documents that it has written
  itself; the gateway's search is a custom retriever, as the documentation shows one.
"""

from __future__ import annotations

from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.llms.openai_like import OpenAILike
from opensearchpy import AsyncOpenSearch

from loadtests.peers.apps.asked import Found, Options, by_words, lines_shape


class _Articles(BaseRetriever):
    """Searches the article index by words."""

    def __init__(self, client: AsyncOpenSearch, options: Options) -> None:
        self._client = client
        self._options = options
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise NotImplementedError("it is asked asynchronously alone")

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        body = by_words(query_bundle.query_str, self._options)
        answer = await self._client.search(index=self._options.index, body=body)
        nodes = []
        for hit in answer["hits"]["hits"]:
            node = TextNode(id_=hit["_source"]["id"], text=hit["_source"]["title"])
            nodes.append(NodeWithScore(node=node, score=hit["_score"]))
        return nodes


class LlamaIndex:
    """A `Peer`."""

    def __init__(self, options: Options) -> None:
        llm = OpenAILike(
            model=options.model,
            api_base=options.engine,
            api_key="none",
            is_chat_model=False,
            max_tokens=options.max_tokens,
            temperature=0,
            additional_kwargs={"extra_body": lines_shape(options)},
        )
        client = AsyncOpenSearch(options.opensearch, pool_maxsize=32)
        self._retriever = QueryFusionRetriever(
            [_Articles(client, options)],
            llm=llm,
            mode=FUSION_MODES.RECIPROCAL_RANK,
            similarity_top_k=options.limit,
            num_queries=options.queries + 1,
            use_async=True,
        )

    async def candidates(self, question: str) -> list[Found]:
        """See `Peer`."""
        found = await self._retriever.aretrieve(question)
        return [Found(one.node.node_id, one.node.get_content()) for one in found]
