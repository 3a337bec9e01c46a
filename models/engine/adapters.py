"""Adapters beside the student that an engine serves: checked before vLLM starts, and its arguments.

vLLM needs most of a minute to find out that an adapter is no good, and does not find out that it
was trained on another vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.packaging.peft_folder import PeftFolder, check_fits, read_peft
from service.errors import ConfigurationError
from service.manifest import AdapterWeights, Manifest, load_manifest, verify

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`."""
_RANK = 32
"""Room for adapters that are loaded later, where none is given at the start."""
RUNTIME_ADAPTERS = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
"""vLLM's switch of the requests that load and unload adapters while it runs."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A student whose weights are an adapter over the student that an engine serves."""

    manifest: Manifest
    folder: Path
    peft: PeftFolder


def read_adapter(folder: Path) -> Adapter:
    """A built adapter, its checksums right.

    Raises `ConfigurationError`: no adapter, a file missing or torn, or what vLLM does not serve.
    """
    manifest = load_manifest(folder)
    if not isinstance(manifest.weights, AdapterWeights):
        raise ConfigurationError(
            f"{folder}: {manifest.key} is a whole student ({manifest.weights.kind}), not an "
            "adapter; `interests students build NAME --adapter-of BASE` makes one of a recipe"
        )
    folder = folder if folder.is_dir() else folder.parent
    verify(manifest, folder)
    peft = read_peft(folder)
    if peft.rank > _RANKS[-1]:
        raise ConfigurationError(
            f"{folder}: the adapter has rank {peft.rank}, and vLLM serves ranks up to {_RANKS[-1]}"
        )
    return Adapter(manifest, folder, peft)


def require_whole(manifest: Manifest) -> None:
    """Raises `ConfigurationError` where this student is itself an adapter."""
    if isinstance(manifest.weights, AdapterWeights):
        base = manifest.weights.base
        raise ConfigurationError(
            f"{manifest.key} is an adapter over {base}: start `interests engine --student {base} "
            "--adapter FOLDER`"
        )


def adapters_beside(base: Manifest, folder: Path, given: Sequence[Path]) -> list[Adapter]:
    """The adapters in these folders, each one of the student `base`, which lies in `folder`.

    Raises `ConfigurationError`: as `read_adapter` does, and for an adapter of another base or
    vocabulary, one whose lists would not fit this engine, or two of one name.
    """
    found: list[Adapter] = []
    names = {base.key}
    for place in given:
        adapter = read_adapter(place)
        manifest = adapter.manifest
        check_base(adapter, [base.key])
        if manifest.tokenizer.sha256 != base.tokenizer.sha256:
            raise ConfigurationError(
                f"{place}: {manifest.key} has another tokenizer than {base.key}, whose tokens "
                "would mean something else to it; build both of one vocabulary"
            )
        check_fits(adapter.peft, adapter.folder, folder)
        if manifest.engine.max_model_len > base.engine.max_model_len:
            raise ConfigurationError(
                f"{place}: {manifest.key} needs engine.max_model_len "
                f"{manifest.engine.max_model_len}, and that of {base.key} is "
                f"{base.engine.max_model_len}: raise it there, or lower it here"
            )
        if manifest.key in names:
            raise ConfigurationError(f"{place}: two are {manifest.key}: raise a version")
        names.add(manifest.key)
        found.append(adapter)
    return found


def check_base(adapter: Adapter, served: Sequence[str]) -> None:
    """Raises `ConfigurationError` where none of the students served is the adapter's base."""
    weights = adapter.manifest.weights
    assert isinstance(weights, AdapterWeights)
    if weights.base not in served:
        raise ConfigurationError(
            f"{adapter.folder}: {adapter.manifest.key} is an adapter over {weights.base}, and this "
            f"engine serves {', '.join(served) or 'nothing'}"
        )


def adapter_arguments(adapters: Sequence[Adapter], runtime: int, *, has_gpu: bool) -> list[str]:
    """vLLM's arguments for these adapters, and room for `runtime` more; none where there are none.

    All of them may be in one batch. On a CPU there is a place more that stays empty: vLLM 0.31
    adds whatever is in the last place to requests of the base that share a batch with adapters.
    """
    if not adapters and not runtime:
        return []
    rank = max((adapter.peft.rank for adapter in adapters), default=_RANK)
    places = len(adapters) + runtime + (0 if has_gpu else 1)
    argv = [
        "--enable-lora",
        *("--max-lora-rank", str(next(one for one in _RANKS if one >= rank))),
        *("--max-loras", str(places)),
    ]
    if adapters:
        # Its short form, `name=path`, takes no path with a comma.
        named = ({"name": one.manifest.key, "path": str(one.folder.resolve())} for one in adapters)
        argv += ["--lora-modules", *map(json.dumps, named)]
    return argv
