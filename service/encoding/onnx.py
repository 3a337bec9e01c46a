"""An encoder in the gateway's own process: ONNX Runtime on a thread of its own.

The event loop never waits for it. One thread takes what has come in the meantime together, so that
many requests at once cost one run, and a bound on the texts that wait keeps a crowd from filling
the memory: who comes beyond it is told at once and is searched by words.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from service.encoding.batches import batches
from service.encoding.manifest import EncoderManifest, verify_encoder
from service.encoding.vectors import unit_rows
from service.errors import ConfigurationError, EncoderUnavailable
from service.records import TextRole, Vectors

_TOGETHER = 64
"""Texts of several callers that are encoded together: each waits for all of them."""
_CLOSED = "the encoder is closed"
_MAX_CHARACTERS = 2_000
"""Of a text. The tokenizer reads all that it is given before it cuts."""


@dataclass(eq=False, slots=True)
class _Waiting:
    texts: list[str]
    done: asyncio.Future[Vectors]


class OnnxModel:
    """The model alone, without a thread: texts in, vectors out. For indexing and evaluation too."""

    def __init__(self, manifest: EncoderManifest, folder: Path, threads: int = 1) -> None:
        """Raises `ConfigurationError` where a file is missing, another, or no model.

        `threads` is how many cores it may use, each for runs of its own: a run on several waits
        at every layer for the slowest.
        """
        verify_encoder(manifest, folder)
        self.manifest = manifest
        self._threads = threads
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                folder / manifest.model.file, options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / manifest.tokenizer.file))
        except Exception as error:  # both libraries raise errors of many kinds, some of them bare
            raise ConfigurationError(
                f"{folder}: cannot be loaded as an encoder ({type(error).__name__}); run "
                f"`interests encoders build {manifest.key}`"
            ) from error
        self._tokenizer.enable_truncation(manifest.max_tokens)
        self._tokenizer.no_padding()
        self._inputs = {given.name for given in self._session.get_inputs()}

    def encode(self, texts: Sequence[str], role: TextRole) -> Vectors:
        """Vectors of the texts, (n, dimension). Raises `EncoderUnavailable`."""
        manifest = self.manifest
        prefix = manifest.query_prefix if role == "query" else manifest.article_prefix
        read = [
            encoding.ids
            for encoding in self._tokenizer.encode_batch(
                [prefix + text[:_MAX_CHARACTERS] for text in texts]
            )
        ]
        runs = batches([len(ids) for ids in read])
        vectors = np.zeros((len(texts), manifest.dimension), np.float32)

        def run(rows: list[int]) -> None:
            pooled = self._run([read[i] for i in rows])
            vectors[rows] = unit_rows(pooled, len(rows), manifest.dimension)

        if self._threads == 1 or len(runs) < 2:
            for rows in runs:
                run(rows)
        else:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="encoder") as several:
                for done in [several.submit(run, rows) for rows in reversed(runs)]:
                    done.result()
        return vectors

    def _run(self, read: Sequence[Sequence[int]]) -> Vectors:
        """One vector for each list of tokens."""
        lengths = [len(ids) for ids in read]
        mask = (np.arange(max(1, *lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        tokens = np.zeros_like(mask)  # what stands beyond a text's end is masked
        tokens[mask > 0] = np.fromiter(chain.from_iterable(read), np.int64, sum(lengths))
        inputs = {
            "input_ids": tokens,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        try:
            states: Vectors = self._session.run(
                None, {name: value for name, value in inputs.items() if name in self._inputs}
            )[0]
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise EncoderUnavailable(f"the encoder failed: {type(error).__name__}") from error
        if self.manifest.pooling == "cls":
            first: Vectors = states[:, 0]
            return first
        weights = mask[:, :, None].astype(np.float32)
        mean: Vectors = (states * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)
        return mean


class OnnxEncoder:
    """An `Encoder` over an `OnnxModel`."""

    def __init__(self, model: OnnxModel, *, max_waiting: int = 512) -> None:
        """`max_waiting`: texts that may wait for the thread, all callers together."""
        self._model = model
        self._max_waiting = max_waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")
        self._waiting: dict[TextRole, deque[_Waiting]] = {}
        self._texts_waiting = 0
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def key(self) -> str:
        """`name@version`."""
        return self._model.manifest.key

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self._model.manifest.dimension

    async def encode(self, texts: Sequence[str], role: TextRole, until: float) -> Vectors:
        """Vectors of the texts by `until`. Raises `EncoderUnavailable`, also where it is busy."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        if self._closed:
            raise EncoderUnavailable(_CLOSED)
        if self._texts_waiting + len(texts) > self._max_waiting:
            raise EncoderUnavailable(f"{self._texts_waiting} texts wait for the encoder already")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(list(texts), loop.create_future())
        self._waiting.setdefault(role, deque()).append(waiting)
        self._texts_waiting += len(texts)
        if self._runner is None:
            self._runner = loop.create_task(self._work(), name="encoder")
        try:
            async with asyncio.timeout_at(until):
                return await waiting.done
        except TimeoutError:
            raise EncoderUnavailable("the encoder did not answer in time") from None

    async def close(self) -> None:
        """End the thread; who still waits is told so."""
        self._closed = True
        if self._runner is not None:
            self._runner.cancel()
        self._fail(EncoderUnavailable(_CLOSED))
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while turn := self._next():
                role, together = turn
                texts = [text for waiting in together for text in waiting.texts]
                try:
                    vectors = await loop.run_in_executor(
                        self._thread, self._model.encode, texts, role
                    )
                except EncoderUnavailable as error:
                    for waiting in together:
                        _tell(waiting, error)
                    continue
                except asyncio.CancelledError:
                    for waiting in together:
                        _tell(waiting, EncoderUnavailable(_CLOSED))
                    raise
                start = 0
                for waiting in together:
                    end = start + len(waiting.texts)
                    if not waiting.done.done():
                        waiting.done.set_result(vectors[start:end])
                    start = end
        finally:
            self._runner = None

    def _next(self) -> tuple[TextRole, list[_Waiting]] | None:
        """Those of one role that have waited longest, up to the texts of one run."""
        for role in list(self._waiting):
            queue = self._waiting[role]
            together: list[_Waiting] = []
            texts = 0
            while queue and (not together or texts + len(queue[0].texts) <= _TOGETHER):
                waiting = queue.popleft()
                self._texts_waiting -= len(waiting.texts)
                if not waiting.done.done():  # its caller may have gone
                    together.append(waiting)
                    texts += len(waiting.texts)
            if not queue:
                del self._waiting[role]
            if together:
                return role, together
        return None

    def _fail(self, error: EncoderUnavailable) -> None:
        for queue in self._waiting.values():
            for waiting in queue:
                _tell(waiting, error)
        self._waiting.clear()
        self._texts_waiting = 0


def _tell(waiting: _Waiting, error: EncoderUnavailable) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)
