"""The configuration of supervised training, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from models.data.labels import LabelForm
from models.data.reference_labels import ReferenceForm
from models.data.signal_texts import MixName
from service.yaml_files import read_yaml

_STUDENT = r"^[a-z0-9-]+/[A-Za-z0-9._-]+$"


def _kind_of_label(given: Any) -> str:
    if isinstance(given, dict):
        return "signals" if "references" in given else "interests"
    return "signals" if isinstance(given, ReferenceForm) else "interests"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoraParams(_Part):
    """The adapter: all linear layers from `first_layer` on."""

    rank: int = Field(16, ge=1, le=256)
    alpha: int = Field(32, ge=1)
    first_layer: int = Field(0, ge=0, description="Layers below keep the base's weights.")


class TrainParams(_Part):
    """The optimiser's settings; one step is one batch."""

    batch: int = Field(8, ge=1)
    learning_rate: float = Field(7e-4, gt=0)
    warmup_share: float = Field(0.05, ge=0, lt=1)
    epochs: int = Field(1, ge=1)
    most_steps: int | None = Field(None, ge=1, description="End, annealed, after so many steps.")
    checkpoint_steps: int = Field(50, ge=1, description="Steps between two checkpoints.")


class VerdictParams(_Part):
    """A second loss: at the end of each signal's line, whether an interest made it."""

    layer: int = Field(20, ge=1, description="Layers that have read the prompt by then.")
    weight: float = Field(0.5, gt=0, description="Beside the loss of the answers, which has 1.")


class WatchParams(_Part):
    """When training is stopped early: too few different lists over users not trained on."""

    users: int = Field(24, ge=2)
    steps: int = Field(75, ge=1, description="Steps between two looks.")
    distinct_least: float = Field(0.6, gt=0, le=1, description="Least share of distinct lists.")
    patience: int = Field(2, ge=1, description="Looks below it, one after the other, that stop.")


class SftConfig(_Part):
    """A training run."""

    student: str = Field(pattern=_STUDENT, description="name/version.")
    starts_from: str | None = Field(
        None,
        pattern=_STUDENT,
        description="name/version of the student whose adapter is trained on; none: a new one.",
    )
    articles: str = Field(description="Articles with dates, a file in the data folder.")
    searches: str = Field(description="Web searches, a file in the data folder; `nq` rows only.")
    mixes: dict[MixName, Annotated[int, Field(ge=1)]] = Field(
        description="Users of each mix.", min_length=1
    )
    seed: int = 1
    worlds: int = Field(
        0,
        ge=0,
        description="Worlds that training users live in, of training's articles alone, each "
        "clustered anew. 0: the world that evaluation's users live in, too.",
    )
    budget: int = Field(320, ge=1, description="Tokens of a prompt, as the manifest will say.")
    label: Annotated[
        Annotated[LabelForm, Tag("interests")] | Annotated[ReferenceForm, Tag("signals")],
        Discriminator(_kind_of_label),
    ] = LabelForm()
    verdict: VerdictParams | None = Field(None, description="None: the answers alone are taught.")
    lora: LoraParams = LoraParams()
    train: TrainParams = TrainParams()
    watch: WatchParams = WatchParams()

    @model_validator(mode="after")
    def _verdict_can_be_taught(self) -> Self:
        if self.verdict is not None and self.verdict.layer <= self.lora.first_layer:
            raise ValueError(
                f"verdict.layer is {self.verdict.layer}, and no layer up to it is trained: make it "
                f"greater than lora.first_layer ({self.lora.first_layer})"
            )
        return self


def load_config(path: Path) -> SftConfig:
    """Read a configuration. Raises `ConfigurationError` naming the file, field and remedy."""
    return read_yaml(path, SftConfig, "configuration")
