"""Adapters beside a student: what is refused before vLLM starts, and what vLLM is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from models.commands.adapters import adapters as command
from models.engine.adapters import RUNTIME_ADAPTERS, adapters_beside, read_adapter, require_whole
from models.engine.command import Host, engine_command, prepare_engine
from models.packaging.adapter_file import write_adapter
from models.packaging.build import build_student
from models.packaging.registry import BASE_STUDENT, find_student
from models.packaging.safetensors import write_tensors
from models.packaging.seal import seal_student
from service.errors import ConfigurationError
from service.manifest import AdapterWeights, load_manifest
from tests.unit.models.packaging.builders import cut, full

TEMPLATE = find_student(BASE_STUDENT).folder / "template.yaml"
MODULE = "model.layers.0.self_attn.q_proj"
CPU = Host(frozenset(), 2, has_gpu=False)
GPU = Host(frozenset(), 32, has_gpu=True)


def untold(what: str, share: float) -> None:
    """Hears how far the work is."""


def student(folder: Path, weights: dict[str, Any], **changes: Any) -> Path:
    """The words of a student, its template and tokenizer, not sealed yet."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = {
        "name": folder.parent.name,
        "version": folder.name,
        "architecture": "LlamaForCausalLM",
        "weights": weights,
        "output": "lines",
        "decoding": {"max_tokens": 32},
        "prompt_budget": 64,
        "timeout_ms": 900,
        "engine": {"max_model_len": 128},
        "lineage": {"base": "none", "source": "made for this test"},
        "licence": "MIT",
        **changes,
    }
    (folder / "student.yaml").write_text(yaml.safe_dump(raw))
    (folder / "template.yaml").write_bytes(TEMPLATE.read_bytes())
    if not (folder / "tokenizer.json").exists():
        (folder / "tokenizer.json").write_text(json.dumps(full()))
    return folder


def configure(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    raw = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**raw, **changes}))


def matrices(folder: Path, out: int = 6, rank: int = 2, module: str = MODULE) -> None:
    sides = {"A": np.ones((rank, 4), np.float32), "B": np.ones((out, rank), np.float32)}
    tensors = {f"base_model.model.{module}.lora_{side}.weight": one for side, one in sides.items()}
    write_adapter(folder / "adapter_model.safetensors", tensors, 4.0)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A whole student with one matrix that can be adapted."""
    folder = student(tmp_path / "news" / "1", {"kind": "path"})
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    with (folder / "model.safetensors").open("wb") as file:
        shape = (6, 4)
        write_tensors(file, {f"{MODULE}.weight": shape}, [np.zeros(shape, np.float32)], {})
    seal_student(folder, None, untold)
    return folder


@pytest.fixture
def adapter(tmp_path: Path, base: Path) -> Path:
    """An adapter over it, as PEFT leaves it, with the words of a student."""
    folder = student(tmp_path / "sport" / "3", {"kind": "adapter", "base": "news@1"})
    configure(folder, peft_type="LORA", r=2, lora_alpha=4, target_modules=["q_proj"], bias="none")
    matrices(folder)
    seal_student(folder, None, untold)
    return folder


def beside(base: Path, *folders: Path) -> list[str]:
    found = adapters_beside(load_manifest(base), base, folders)
    return [one.manifest.key for one in found]


def argv(base: Path, *folders: Path, machine: Host = GPU, runtime: int = 0) -> list[str]:
    manifest = load_manifest(base)
    found = adapters_beside(manifest, base, folders)
    return engine_command(
        *(manifest, base), port=1, machine=machine, adapters=found, runtime_adapters=runtime
    )[0]


def test_an_adapter_is_sealed_built_and_found_to_fit(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    manifest = load_manifest(adapter)
    assert isinstance(manifest.weights, AdapterWeights)
    assert set(manifest.weights.files) == {"adapter_config.json", "adapter_model.safetensors"}
    assert manifest.parameters == 2 * 4 + 6 * 2
    assert build_student(adapter, tmp_path / "built", untold)
    assert beside(base, tmp_path / "built") == ["sport@3"]
    assert read_adapter(adapter).peft.rank == 2


def other(place: Callable[[Path], object], said: str, *, sealed: bool = True) -> Any:
    return pytest.param(place, sealed, said, id=said)


@pytest.mark.parametrize(
    ("spoil", "sealed", "said"),
    [
        other(
            lambda at: student(at, {"kind": "adapter", "base": "news@2"}),
            "sport@3 is an adapter over news@2, and this engine serves news@1",
        ),
        other(
            lambda at: (
                (at / "tokenizer.json").write_text(json.dumps(cut(list(range(300))))) and None
            ),
            "sport@3 has another tokenizer than news@1",
        ),
        other(
            lambda at: (
                student(at, {"kind": "adapter", "base": "news@1"}, engine={"max_model_len": 256})
                and None
            ),
            "sport@3 needs engine.max_model_len 256, and that of news@1 is 128",
        ),
        other(
            lambda at: (
                student(at, {"kind": "adapter", "base": "news@1"}, name="news", version="1")
                and None
            ),
            "two are news@1",
        ),
        other(lambda at: matrices(at, out=5), "is for 5 × 4, but that of"),
        other(lambda at: matrices(at, module="model.other"), "none of which"),
        other(
            lambda at: (at / "adapter_config.json").unlink(),
            "adapter_config.json is missing",
            sealed=False,
        ),
        other(
            lambda at: (at / "adapter_model.safetensors").write_bytes(b"torn"),
            "adapter_model.safetensors: sha256 is",
            sealed=False,
        ),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused_in_words(
    base: Path, adapter: Path, spoil: Callable[[Path], object], sealed: bool, said: str
) -> None:
    spoil(adapter)
    if sealed:
        seal_student(adapter, None, untold)
    with pytest.raises(ConfigurationError) as refused:
        beside(base, adapter)
    assert said in str(refused.value)
    assert str(adapter) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"r": 4}, "has the ranks 2 and 2, but adapter_config.json says 4"),
        ({"r": "two"}, "r must be the rank"),
        ({"use_dora": True}, "use_dora is used, which vLLM does not serve"),
        ({"alpha_pattern": {"q_proj": 8}}, "alpha_pattern is used"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern is used"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is used"),
        ({"bias": "all"}, "bias is all"),
        ({"peft_type": "LOHA"}, "peft_type is LOHA"),
    ],
)
def test_what_vllm_would_leave_out_of_an_adapter_is_refused(
    adapter: Path, changes: dict[str, Any], said: str
) -> None:
    configure(adapter, **changes)
    with pytest.raises(ConfigurationError) as refused:
        seal_student(adapter, None, untold)
    assert said in str(refused.value)


def test_an_adapter_given_twice_is_refused(base: Path, adapter: Path) -> None:
    with pytest.raises(ConfigurationError, match="two are sport@3: raise a version"):
        beside(base, adapter, adapter)


def test_a_whole_student_is_no_adapter_and_an_adapter_no_whole_student(
    base: Path, adapter: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"news@1 is a whole student \(path\)"):
        beside(base, base)
    with pytest.raises(ConfigurationError, match="engine --student news@1 --adapter FOLDER"):
        prepare_engine(load_manifest(adapter), adapter, port=0, python="none")
    require_whole(load_manifest(base))


def test_a_rank_that_vllm_never_serves_is_refused(base: Path, adapter: Path) -> None:
    matrices(adapter, rank=513)
    configure(adapter, r=513)
    seal_student(adapter, None, untold)
    with pytest.raises(ConfigurationError, match="rank 513, and vLLM serves ranks up to 512"):
        beside(base, adapter)


def test_vllm_is_given_room_for_every_adapter_in_one_batch(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    larger = tmp_path / "money" / "1, as trained"
    shutil.copytree(adapter, larger)
    student(larger, {"kind": "adapter", "base": "news@1"}, name="money", version="1")
    matrices(larger, rank=9)
    configure(larger, r=9)
    seal_student(larger, None, untold)
    said = argv(base, adapter, larger)
    assert "--enable-lora" in said
    assert said[said.index("--max-lora-rank") + 1] == "16", "the next that vLLM takes"
    assert said[said.index("--max-loras") + 1] == "2"
    at = said.index("--lora-modules")
    assert [json.loads(one) for one in said[at + 1 : at + 3]] == [
        {"name": "sport@3", "path": str(adapter)},
        {"name": "money@1", "path": str(larger)},
    ]


def test_on_a_cpu_a_place_stays_empty_for_requests_of_the_base(base: Path, adapter: Path) -> None:
    said = argv(base, adapter, machine=CPU)
    assert said[said.index("--max-loras") + 1] == "2"


def test_adapters_are_loaded_later_only_where_that_was_asked_for(base: Path, adapter: Path) -> None:
    manifest = load_manifest(base)
    for runtime in (0, 2):
        said, environment = engine_command(
            manifest, base, port=1, machine=GPU, runtime_adapters=runtime
        )
        assert (RUNTIME_ADAPTERS in environment) == bool(runtime)
        assert ("--enable-lora" in said) == bool(runtime)
    assert said[said.index("--max-loras") + 1] == "2"
    said = argv(base, adapter, runtime=2)
    assert said[said.index("--max-loras") + 1] == "3"


def answering(monkeypatch: pytest.MonkeyPatch, *answers: httpx.Response) -> list[httpx.Request]:
    """An engine that gives these answers, one after the other, and what it was asked."""
    left, asked = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return left.pop(0)

    client = httpx.Client(transport=httpx.MockTransport(answer))

    def request(method: str, url: str, **options: Any) -> httpx.Response:
        return client.request(method, url, **options)

    monkeypatch.setattr("models.engine.loading.httpx.request", request)
    return asked


LISTED = httpx.Response(200, json={"data": [{"id": "news@1", "parent": None}]})


def test_loading_names_the_student_and_where_the_engine_finds_it(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, LISTED, httpx.Response(200))
    words = ["load", str(adapter), "--engine", "http://engine/v1", "--seen-as", "/students/sport"]
    done = CliRunner().invoke(command, words, env={"VLLM_API_KEY": "k"})
    assert done.exit_code == 0, done.output
    assert asked[1].url == "http://engine/v1/load_lora_adapter"
    assert json.loads(asked[1].content) == {"lora_name": "sport@3", "lora_path": "/students/sport"}
    assert all(one.headers["Authorization"] == "Bearer k" for one in asked)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([httpx.Response(401, json={"error": "Unauthorized"})], "set VLLM_API_KEY"),
        ([httpx.Response(200, text="hello")], "is no list of models"),
        (
            [httpx.Response(200, json={"data": [{"id": "other@1", "parent": None}]})],
            "is an adapter over news@1, and this engine serves other@1",
        ),
        (
            [LISTED, httpx.Response(404, json={"detail": "Not Found"})],
            "start it with --runtime-adapters",
        ),
        (
            [LISTED, httpx.Response(400, json={"error": {"message": "already\nloaded"}})],
            "answered 400: already loaded",
        ),
        ([LISTED, httpx.Response(500, text="oops")], "answered 500: oops"),
    ],
)
def test_what_an_engine_refuses_is_said_in_one_line(
    adapter: Path, monkeypatch: pytest.MonkeyPatch, answers: list[httpx.Response], said: str
) -> None:
    answering(monkeypatch, *answers)
    done = CliRunner().invoke(command, ["load", str(adapter), "--engine", "http://engine"])
    assert isinstance(done.exception, ConfigurationError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
