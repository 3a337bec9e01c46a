"""What `interests doctor` says of the article index and its encoder."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from service import wiring
from service import wiring_encoders as encoders
from service.commands.findings import PART_S, Finding
from service.errors import InterestsError, OtherLanguage, RetrievalError, StageError
from service.records import Encoded, Filters
from service.settings import Settings
from service.telemetry import Metrics


async def index_findings(settings: Settings) -> list[Finding]:
    """Whether it answers, and what is wrong with it all the same."""
    until = asyncio.get_running_loop().time() + PART_S
    index = wiring.open_index(settings)
    try:
        await index.check(until)
        if not await index.popular(1, until):
            raise StageError("answers, but holds no article")
        remarks = await index.remarks(until)
    except OtherLanguage as error:
        return [Finding("index", error.says, error.remedy)]
    except InterestsError as error:
        remedy = "load articles with `interests index load FILE`, or set INTERESTS_OPENSEARCH_URL"
        return [Finding("index", str(error), remedy)]
    finally:
        await index.close()
    return [
        Finding("index", "answers, with the mapping we expect"),
        *(Finding("index", remark.says, remark.remedy) for remark in remarks),
    ]


async def encoder_findings(settings: Settings) -> list[Finding]:
    """Whether it encodes, and whether the index was encoded by it."""
    build = "build one with `interests encoders build`, and name its encoder.yaml in"
    remedy = f"{build} INTERESTS_ENCODER__MANIFEST"
    loop = asyncio.get_running_loop()
    try:
        encoders.encoder_manifest(settings)
        encoder = encoders.open_encoder(settings, Metrics(CollectorRegistry()))
        if encoder is None:
            return [Finding("encoder", f"none: articles are found by words alone; {remedy}")]
        index = wiring.open_index(settings)
        try:
            vectors = await encoder.encode(["storm"], "query", loop.time() + PART_S)
            found = Finding("encoder", f"{encoder.key} encodes")
            encoded = Encoded(encoder.key, vectors)
            answer = await index.search(["storm"], 1, Filters(), loop.time() + PART_S, encoded)
        finally:
            await encoder.close()
            await index.close()
    except RetrievalError:
        return [found]  # the index has a finding of its own
    except InterestsError as error:
        return [Finding("encoder", str(error), remedy)]
    if answer.encoder == encoder.key:
        return [found]
    has = f"holds vectors of {answer.encoder}" if answer.encoder else "holds no vectors"
    says = f"{encoder.key} encodes, but the index {has}: articles are found by words alone"
    return [Finding("encoder", says, "load the articles again: `interests index load FILE`")]
