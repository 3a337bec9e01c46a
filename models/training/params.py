"""What configurations of trainings share, whatever the technique."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """A part of a configuration: frozen, and no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LoraParams(Part):
    """The adapter: all linear layers from `first_layer` on."""

    rank: int = Field(16, ge=1, le=256)
    alpha: int = Field(32, ge=1)
    first_layer: int = Field(0, ge=0, description="Layers below keep the base's weights.")


class TrainParams(Part):
    """The optimiser's settings; one step is one batch."""

    batch: int = Field(8, ge=1)
    learning_rate: float = Field(7e-4, gt=0)
    warmup_share: float = Field(0.05, ge=0, lt=1)
    epochs: int = Field(1, ge=1)
    most_steps: int | None = Field(None, ge=1, description="End, annealed, after so many steps.")
    checkpoint_steps: int = Field(50, ge=1, description="Steps between two checkpoints.")


class WatchParams(Part):
    """When training is stopped early: too few different lists over users not trained on."""

    users: int = Field(24, ge=2)
    steps: int = Field(75, ge=1, description="Steps between two looks.")
    distinct_least: float = Field(0.6, gt=0, le=1, description="Least share of distinct lists.")
    patience: int = Field(2, ge=1, description="Looks below it, one after the other, that stop.")


_STUDENT = r"^[a-z0-9-]+/[A-Za-z0-9._-]+$"


class TrainingConfig(Part):
    """What every training of a student is told."""

    student: str = Field(pattern=_STUDENT, description="name/version.")
    starts_from: str | None = Field(
        None,
        pattern=_STUDENT,
        description="name/version of the student whose adapter is trained on; none: a new one.",
    )
    articles: str = Field(description="Articles with dates, a file in the data folder.")
    seed: int = 1
    budget: int = Field(320, ge=1, description="Tokens of a prompt, as the manifest will say.")
    lora: LoraParams = LoraParams()
    watch: WatchParams = WatchParams()
