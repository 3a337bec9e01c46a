"""The adapter of a training: put on a base, given values, written to a file. Needs torch."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

from models.packaging.adapter_file import Delta, write_adapter
from models.training.params import LoraParams
from service.errors import ConfigurationError

_PRODUCTS = 5
_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@cache
def quick_dtype() -> Any:
    """What this machine trains fast in: bfloat16 on a GPU, else whichever multiplies faster.

    The flags of a CPU do not say: bfloat16 may be emulated, or have instructions (AVX512_BF16
    without AMX) and be slower than float32 all the same.
    """
    import torch

    if torch.cuda.is_available():
        return torch.bfloat16
    return min((torch.float32, torch.bfloat16), key=_multiplies_in_s)


def _multiplies_in_s(dtype: Any) -> float:
    """Seconds of a product like those of a training step, the fastest of some."""
    import torch

    left, right = (torch.ones(shape, dtype=dtype) for shape in ((1024, 512), (512, 1024)))
    times = []
    for _ in range(_PRODUCTS):
        began = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - began)
    return min(times)


def put_on(base: Path, lora: LoraParams, weights: Any) -> Any:
    """The base in dtype `weights`, with a fresh adapter in float32.

    Steps of 1e-4 would vanish in bfloat16's eight bits.

    Raises `ConfigurationError` where the base has no layer that `lora` would adapt.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=weights)
    layers = range(lora.first_layer, model.config.num_hidden_layers)
    if not layers:
        raise ConfigurationError(
            f"lora.first_layer is {lora.first_layer}, but the base has "
            f"{model.config.num_hidden_layers} layers"
        )
    model = get_peft_model(
        model,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            target_modules=list(_MODULES),
            layers_to_transform=list(layers),
            task_type="CAUSAL_LM",
        ),
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def take_over(model: Any, delta: Delta, alpha: int) -> None:
    """Give a model's adapter the values of another.

    Raises `ConfigurationError` where that one is of other layers, rank or alpha.
    """
    import torch

    own = {name: value for name, value in model.named_parameters() if "lora_" in name}
    given = {
        f"base_model.model.{name.removesuffix('.weight')}.lora_{side}.default.weight": values
        for name, pair in delta.pairs.items()
        for side, values in zip("AB", pair, strict=True)
    }
    shapes = {name: tuple(value.shape) for name, value in own.items()}
    if shapes != {name: value.shape for name, value in given.items()} or alpha != delta.lora_alpha:
        raise ConfigurationError(
            f"{delta.path}: is an adapter of other layers, rank or alpha than `lora` says; make "
            "them the same, or leave `starts_from` out"
        )
    for name, value in given.items():
        own[name].data.copy_(torch.from_numpy(value))


def export(model: Any, path: Path, alpha: int) -> None:
    """Write a model's adapter to a file, by PEFT's names.

    It is the one called `default`: beside it TRL keeps another, `ref`, which a policy is held near.
    """
    tensors = {
        name.replace(".default.weight", ".weight"): value.detach().float().cpu().numpy()
        for name, value in model.named_parameters()
        if "lora_" in name and ".default." in name
    }
    write_adapter(path, tensors, alpha)
