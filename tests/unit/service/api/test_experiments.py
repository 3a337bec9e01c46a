"""Experiments over HTTP: every answer names the user's arms, and what runs can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.experiments.definitions import Arm, Experiment
from service.experiments.file import CheckedFile
from service.experiments.live import LiveExperiments
from service.experiments.overlay import Act, Action, Overlay
from service.records import GenerationRequest, QueryList, Signal
from tests.unit.service.api.fakes import OTHER, FakeGateway, FakeGenerator, client_of
from tests.unit.service.experiments.builders import experiment, layer

SIGNAL = Signal(1, "search", "solar ferry", "1")


class Recording(FakeGenerator):
    """Remembers what it was asked to write."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[GenerationRequest] = []

    async def generate(self, request: GenerationRequest, until: float) -> QueryList:
        self.asked.append(request)
        return await super().generate(request, until)


def gateway_with(folder: Path, *arms: Arm, **more: Any) -> FakeGateway:
    """A gateway with one experiment, a rollout to everybody where there is one arm."""
    kind = "ab" if len(arms) > 1 else "rollout"
    found: Experiment = experiment("e", kind=kind, arms=arms, **more)
    live = LiveExperiments(CheckedFile(layer(found)))
    gateway = FakeGateway(folder, experiments=live, generator=Recording())
    gateway.store.users["u"] = (SIGNAL,)
    return gateway


async def ask(gateway: FakeGateway, **body: Any) -> Any:
    async with client_of(gateway.app()) as client:
        answer = await client.post("/v1/interests", json={"user_id": "u", **body})
    assert answer.status_code == 200
    return answer.json()


async def test_an_answer_names_the_arm_and_is_served_by_its_student(tmp_path: Path) -> None:
    answer = await ask(gateway_with(tmp_path, Arm("new", 10_000, OTHER.key)))
    assert answer["student"] == {"name": OTHER.name, "version": OTHER.version}
    assert answer["experiments"] == [
        {"key": "e", "layer": "layer", "assigned": "new", "served": "new", "reason": None}
    ]


async def test_lists_of_an_arms_student_may_be_kept_and_those_of_an_override_may_not(
    tmp_path: Path,
) -> None:
    gateway = gateway_with(tmp_path, Arm("new", 10_000, OTHER.key))
    async with client_of(gateway.app()) as client:
        await client.post("/v1/interests", json={"user_id": "u"})
        body = {"user_id": "u", "variant": OTHER.key}
        answer = (await client.post("/v1/interests", json=body)).json()
    assert isinstance(gateway.generator, Recording)
    assert [one.may_keep for one in gateway.generator.asked] == [True, False]
    assert {one.student.list_key for one in gateway.generator.asked} == {OTHER.list_key}
    (place,) = answer["experiments"]
    assert (place["served"], place["reason"]) == (f"student:{OTHER.key}", "override")


async def test_a_heuristic_arm_asks_no_student_and_is_not_degraded(tmp_path: Path) -> None:
    gateway = gateway_with(tmp_path, Arm("plain", 10_000, "heuristic"))
    answer = await ask(gateway)
    assert answer["source"]["queries"] == "heuristic"
    assert answer["degraded"] == []
    assert answer["experiments"][0]["served"] == "plain"
    assert isinstance(gateway.generator, Recording)
    assert gateway.generator.asked == []


async def test_an_arms_retrieval_constants_are_used(tmp_path: Path) -> None:
    def own(answer: Any) -> int:
        return sum(query["origin"] == "signal" for query in answer["queries"])

    usual = gateway_with(tmp_path, Arm("new", 10_000))
    none = gateway_with(tmp_path, Arm("new", 10_000, retrieval={"own_signals": 0}))
    signals = [
        {"at": 1_700_000_000_000 + n, "domain": "search", "text": text}
        for n, text in enumerate(("storm warning", "tram strike", "night train"))
    ]
    few = {"signals": signals, "max_queries": 1}
    assert own(await ask(usual, **few)) > 0
    assert own(await ask(none, **few)) == 0
    assert none.prepared == [()]


async def test_an_arms_fusion_constants_are_used(tmp_path: Path) -> None:
    plain = await ask(gateway_with(tmp_path, Arm("new", 10_000)))
    arm = Arm("new", 10_000, fusion={"popularity_weight": 0.0})
    changed = await ask(gateway_with(tmp_path, arm))
    assert plain["candidates"][0]["score"] > changed["candidates"][0]["score"]


async def test_arms_are_counted_by_what_was_served(tmp_path: Path) -> None:
    gateway = gateway_with(tmp_path, Arm("new", 10_000, OTHER.key))
    await ask(gateway)
    labels = {"experiment": "e", "arm": "new", "served": "new"}
    assert gateway.registry.get_sample_value("interests_experiment_assigned_total", labels) == 1


async def test_what_runs_can_be_asked_for_and_names_no_user(tmp_path: Path) -> None:
    sets = {"diversity": 0.1}, {"own_signals": 2}, {"top_p": 0.9}
    arms = Arm("a", 5_000), Arm("b", 5_000, OTHER.key, *sets)
    gateway = gateway_with(tmp_path, *arms, traffic=1_225, allowlist={"a-tester": "b"}, starts_ms=0)
    async with client_of(gateway.app()) as client:
        answer = await client.get("/v1/experiments")
    assert "a-tester" not in answer.text
    body = answer.json()
    assert (body["written"], body["file_ok"]) == (None, True)
    (found,) = body["experiments"]
    assert (found["key"], found["traffic"], found["running"]) == ("e", 0.1225, True)
    assert found["starts"] == "1970-01-01T00:00:00Z"
    assert found["arms"][1] == {
        "name": "b",
        "split": 0.5,
        "student": OTHER.key,
        "fusion": {"diversity": 0.1},
        "retrieval": {"own_signals": 2},
        "sampling": {"top_p": 0.9},
    }


async def test_without_a_file_nothing_runs(tmp_path: Path) -> None:
    async with client_of(FakeGateway(tmp_path).app()) as client:
        body = (await client.get("/v1/experiments")).json()
    assert body == {"written": None, "file_ok": True, "overlay_ok": True, "experiments": []}


async def test_what_was_done_by_hand_is_in_effect_and_said_with_who_and_why(tmp_path: Path) -> None:
    gateway = gateway_with(tmp_path, Arm("new", 10_000, OTHER.key))
    paused = Action(Act.PAUSE, "anna", "too many errors", 0, traffic=500)
    gateway.experiments.lay(Overlay({"e": paused}))
    async with client_of(gateway.app()) as client:
        (found,) = (await client.get("/v1/experiments")).json()["experiments"]
        gateway.experiments.lay(Overlay())
        (after,) = (await client.get("/v1/experiments")).json()["experiments"]
    assert (found["status"], found["running"], found["traffic"]) == ("paused", False, 0.05)
    assert found["overlay"] == {
        "action": "pause",
        "traffic": 0.05,
        "by": "anna",
        "why": "too many errors",
        "at": "1970-01-01T00:00:00Z",
    }
    assert (after["status"], after["overlay"]) == ("running", None)
