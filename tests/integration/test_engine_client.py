"""The client and the dispatcher against the simulator, a real process behind real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from prometheus_client import CollectorRegistry

from service.errors import ConfigurationError, GenerationError, GenerationUnavailable
from service.generation.engines.calls import (
    Call,
    Completion,
    EngineFailed,
    EngineRefused,
    EngineUnfit,
)
from service.generation.engines.completions import StreamedSamples
from service.generation.engines.dispatch import Dispatcher, Patience
from service.generation.engines.vllm import VllmEngine
from service.records import Decoding
from service.telemetry import Metrics
from service.tls import Tls
from tests.parts.simulator import Simulator, simulator
from tests.parts.wire import Wire


@pytest.fixture
def engine() -> Iterator[Simulator]:
    with simulator("--step-ms", "10") as it:
        yield it


@asynccontextmanager
async def dispatching(*urls: str, **options: Any) -> AsyncIterator[Dispatcher]:
    before = asyncio.all_tasks()
    it = Dispatcher(
        [VllmEngine(url) for url in urls], ("sim",), Metrics(CollectorRegistry()), **options
    )
    await it.start()
    try:
        await until(lambda: all(status.state == "up" for status in it.status()))
        yield it
    finally:
        await it.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before, "a task was left behind"


async def until(true: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def call(number: int, tokens: int = 8, n: int = 1) -> Call:
    return Call((5, number), "sim", Decoding(max_tokens=tokens, n=n), f"user {number}")


def soon(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def ask(url: str, what: Call, **options: Any) -> Completion:
    engine = VllmEngine(url, **options)
    await engine.open()
    try:
        samples = StreamedSamples(what.decoding.n, len(what.token_ids))
        await engine.stream(what, samples, lambda: None)
        return samples.completion(url)
    finally:
        await engine.close()


async def test_samples_and_usage_come_back_whole(engine: Simulator) -> None:
    made = await ask(engine.url + "/v1/", call(7, tokens=8, n=3))
    assert made.finished
    assert (made.prompt_tokens, made.output_tokens) == (2, 24)
    assert len({sample.text for sample in made.samples}) == 3
    assert all(len(sample.text.split()) == 8 for sample in made.samples)


async def test_statuses_become_the_errors_that_say_what_to_do(engine: Simulator) -> None:
    with pytest.raises(EngineUnfit, match="answered 404: NotFound"):
        await ask(engine.url, Call((5, 6), "other", Decoding(), "u"))
    with pytest.raises(EngineRefused, match="answered 400: BadRequest"):
        await ask(engine.url, Call((), "sim", Decoding(), "u"))
    engine.set(fault="error")
    with pytest.raises(EngineFailed, match="answered 500: InternalServerError"):
        await ask(engine.url, call(1))
    engine.set(fault="drop")
    with pytest.raises(EngineFailed):
        await ask(engine.url, call(1, tokens=30))
    engine.kill()
    with pytest.raises(EngineFailed, match="connection failed"):
        await ask(engine.url, call(1))


async def test_a_key_is_sent_and_a_wrong_one_is_told() -> None:
    with simulator("--api-key", "s3cret") as it:
        assert (await ask(it.url, call(1), api_key="s3cret")).finished
        with pytest.raises(EngineUnfit, match="401"):
            await ask(it.url, call(1), api_key="guess")


async def test_certificates_are_checked_on_both_sides(tmp_path: Path) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("gateway")
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "server", "client")}
    authority.cert_pem.write_to_path(str(files["ca"]))
    server.private_key_and_cert_chain_pem.write_to_path(str(files["server"]))
    client.private_key_and_cert_chain_pem.write_to_path(str(files["client"]))
    flags = ("--tls-cert", str(files["server"]), "--tls-key", str(files["server"]))
    with simulator(*flags) as it:
        assert (await ask(it.url, call(1), tls=Tls(ca_file=files["ca"]))).finished
        assert (await ask(it.url, call(1), tls=Tls(verify=False))).finished
        with pytest.raises(EngineFailed, match="certificate"):
            await ask(it.url, call(1))
    with simulator(*flags, "--tls-client-ca", str(files["ca"])) as it:
        shown = Tls(ca_file=files["ca"], cert_file=files["client"])
        assert (await ask(it.url, call(1), tls=shown)).finished
        with pytest.raises(EngineFailed):
            await ask(it.url, call(1), tls=Tls(ca_file=files["ca"]))


@pytest.mark.parametrize("url", ["engine:8000", "ftp://engine", "http://", "http://u:p@engine"])
def test_a_url_that_cannot_work_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="engine URL"):
        VllmEngine(url)


def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ca\.pem is not a file"):
        VllmEngine("https://engine", tls=Tls(ca_file=tmp_path / "ca.pem"))


async def test_the_engine_never_has_more_than_the_window(engine: Simulator) -> None:
    async with dispatching(engine.url, window=4) as it:
        made = await asyncio.gather(*(it.complete(call(n), soon(20)) for n in range(30)))
        assert all(generation.finished for generation in made)
        assert engine.seen()["most_in_flight"] == 4


async def test_the_earliest_deadline_is_sent_first(engine: Simulator) -> None:
    async with dispatching(engine.url, window=1) as it:
        deadlines = {1: 20, 2: 29, 3: 25, 4: 27, 5: 21}
        await asyncio.gather(*(it.complete(call(n), soon(s)) for n, s in deadlines.items()))
        assert [ids[-1] for ids in engine.seen()["calls"]] == [1, 5, 3, 4, 2]


async def test_identical_prompts_reach_the_engine_once(engine: Simulator) -> None:
    async with dispatching(engine.url) as it:
        made = await asyncio.gather(*(it.complete(call(1), soon(20)) for _ in range(10)))
        assert len(set(made)) == 1
        assert len(engine.seen()["calls"]) == 1


async def test_partial_text_is_there_at_the_deadline(engine: Simulator) -> None:
    async with dispatching(engine.url) as it:
        made = await it.complete(call(1, tokens=2_000), soon(0.5))
        assert not made.finished
        assert 0 < made.output_tokens < 2_000
        assert made.samples[0].text.count("\n") > 1


async def test_the_engine_is_idle_once_the_last_waiter_has_gone(engine: Simulator) -> None:
    async with dispatching(engine.url) as it:
        tasks = [asyncio.create_task(it.complete(call(1, 5_000, 2), soon(60))) for _ in range(2)]
        await until(lambda: engine.running() == 2)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert (await it.complete(call(2), soon(20))).finished
        assert engine.running() == 2, "one still waits"
        tasks[1].cancel()
        await until(lambda: engine.running() == 0)
        assert engine.seen()["aborted"] == 1


async def test_a_late_list_is_delivered_whole(engine: Simulator) -> None:
    late: asyncio.Queue[Completion] = asyncio.Queue()
    async with dispatching(engine.url) as it:
        partial = await it.complete(call(1, tokens=60), soon(0.25), late.put)
        assert not partial.finished
        whole = await asyncio.wait_for(late.get(), 20)
        assert whole.finished
        assert whole.samples[0].text.startswith(partial.samples[0].text)


@pytest.mark.parametrize("reason", ["abort", "error", "content_filter", "", "something new"])
async def test_what_the_engine_cut_off_is_given_as_a_part_and_never_delivered_late(
    engine: Simulator, reason: str
) -> None:
    late: asyncio.Queue[Completion] = asyncio.Queue()
    async with dispatching(engine.url) as it:
        engine.set(fault="cut", fault_after=6, finish=reason)
        made = await it.complete(call(1, tokens=60), soon(20), late.put)
        assert (made.finished, made.cut_by_engine) == (False, True)
        assert len(made.samples[0].text.split()) == 6
        engine.set(fault="cut", fault_after=60, finish=reason)
        partial = await it.complete(call(2, tokens=90), soon(0.3), late.put)
        assert not partial.finished
        await until(lambda: it.in_work == 0)
        assert late.empty()


async def test_a_connection_is_used_again_but_not_after_four_seconds_of_idleness(
    engine: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM closes what has been idle for five, which a call in that moment would not survive."""
    async with Wire(engine.port) as wire:
        client = VllmEngine(f"http://127.0.0.1:{wire.port}")
        await client.open()
        try:
            for number in range(3):
                await client.stream(call(number), StreamedSamples(1, 2), lambda: None)
            assert wire.connections == 1
            loop = asyncio.get_running_loop()
            monkeypatch.setattr(loop, "time", lambda: time.monotonic() + 4)
            await client.stream(call(4), StreamedSamples(1, 2), lambda: None)
            assert wire.connections == 2
        finally:
            await client.close()


async def test_a_killed_replica_costs_no_new_call_and_comes_back() -> None:
    with simulator() as one, simulator() as two:
        async with dispatching(one.url, two.url, window=8) as it:
            one.kill()
            made = [await it.complete(call(n), soon(20)) for n in range(20)]
            assert {completion.engine for completion in made} == {two.url}
            with simulator(port=one.port):
                await until(lambda: all(status.state == "up" for status in it.status()))


async def test_a_replica_that_hangs_with_a_healthy_health_check_is_ejected_and_readmitted() -> None:
    with simulator() as one, simulator() as two:
        async with dispatching(one.url, two.url, patience=Patience(first_token_grace_s=1)) as it:
            await asyncio.gather(*(it.complete(call(n), soon(20)) for n in range(60)))
            one.set(fault="hang")
            assert one.healthy()
            made = await asyncio.gather(*(it.complete(call(n), soon(20)) for n in range(10, 20)))
            assert {completion.engine for completion in made} == {two.url}
            state = {status.url: status for status in it.status()}
            assert state[one.url].state == "ejected"
            assert "no chunk for" in state[one.url].reason
            one.set(fault="")
            await until(lambda: all(status.state == "up" for status in it.status()))


async def test_a_stream_that_stalls_gives_its_text_at_the_deadline_then_the_engine_is_ejected(
    engine: Simulator,
) -> None:
    async with dispatching(engine.url, patience=Patience(first_token_grace_s=0.5)) as it:
        engine.set(fault="stall", fault_after=5)
        made = await it.complete(call(1, tokens=50), soon(0.4))
        assert len(made.samples[0].text.split()) == 5
        with pytest.raises(GenerationUnavailable, match="no chunk for"):
            await it.complete(call(2, tokens=50), soon(30))


async def test_an_engine_that_changes_its_model_is_ejected_and_says_what_it_serves(
    engine: Simulator,
) -> None:
    async with dispatching(engine.url) as it:
        engine.set(model="other")
        with pytest.raises(GenerationUnavailable, match="answered 404: NotFound"):
            await it.complete(call(1), soon(5))
        await until(lambda: "serves other, but should serve sim" in it.status()[0].reason)
        engine.set(model="sim")
        await until(lambda: it.status()[0].state == "up")


async def test_an_engine_that_starts_slowly_is_warming_and_is_then_admitted() -> None:
    with simulator() as first:
        port = first.port
    it = Dispatcher(
        [VllmEngine(f"http://127.0.0.1:{port}")], ("sim",), Metrics(CollectorRegistry())
    )
    await it.start()
    try:
        assert it.status()[0].state == "warming", "the start did not wait for it"
        await until(lambda: "connection failed" in it.status()[0].reason)
        with pytest.raises(GenerationUnavailable, match="warming"):
            await it.complete(call(1), soon(5))
        with simulator("--start-s", "0.5", port=port):
            await until(lambda: it.status()[0].state == "up")
            assert (await it.complete(call(1), soon(5))).finished
    finally:
        await it.close()


async def test_at_three_times_its_capacity_the_engine_still_finishes_lists() -> None:
    """Ten steps of 10 ms a list, eight at once: 80 lists a second are all the engine can do.

    Served by deadline alone, each call would start when its time is nearly up, and none would end.
    """
    with simulator("--step-ms", "10", "--max-seqs", "8") as engine:
        async with dispatching(engine.url, window=8, queue=32) as it:
            whole: list[float] = []
            started = asyncio.get_running_loop().time()

            async def one(number: int) -> None:
                with contextlib.suppress(GenerationError):
                    if (await it.complete(call(number, tokens=10), soon(0.4))).finished:
                        whole.append(soon(-started))

            async with asyncio.TaskGroup() as callers:
                for number in range(240 * 3):
                    await asyncio.sleep(started + number / 240 - soon(0))
                    callers.create_task(one(number))
            last_second = sum(at > 2.0 for at in whole)
            print(f"{last_second} whole lists in the last second, of 80")
            assert last_second > 20


@pytest.mark.parametrize(
    ("fault", "event"),
    [
        ("nonsense", '{"choices":[{"index":0,"text":5,"finish_reason":null}]}'),
        ("nonsense", '{"choices":[{"index":0,"text":["a"],"finish_reason":"stop"}]}'),
        ("nonsense", '{"choices":[{"index":-1,"text":"a","finish_reason":"stop"}]}'),
        ("nonsense", "[1, 2]"),
        ("flood", ""),
    ],
)
async def test_an_engine_that_sends_nonsense_fails_its_callers_at_once_and_frees_their_places(
    engine: Simulator, fault: str, event: str
) -> None:
    """Sixteen callers, as many as the window: each is answered, and the next ones find room."""
    async with dispatching(engine.url, window=16, patience=Patience(first_token_grace_s=20)) as it:
        engine.set(fault=fault, event=event)
        calls = (it.complete(call(number), soon(15)) for number in range(16))
        said = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in said} == {GenerationUnavailable}
        assert it.in_work == 0
        engine.set(fault="")
        await until(lambda: all(status.state == "up" for status in it.status()))
        assert (await it.complete(call(99), soon(15))).finished
