"""The configuration of supervised training, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from models.simulation.signal_texts import MixName
from models.training.params import Part, TrainingConfig, TrainParams
from models.training.sft.reference_labels import ReferenceForm
from service.yaml_files import read_yaml


class VerdictParams(Part):
    """A second loss: at the end of each signal's line, whether an interest made it."""

    layer: int = Field(20, ge=1, description="Layers that have read the prompt by then.")
    weight: float = Field(0.5, gt=0, description="Beside the loss of the answers, which has 1.")


class PeopleParams(Part):
    """Readers and threads that the project wrote, whose lists are words."""

    views: int = Field(ge=1, description="Examples: people, in turn, each time seen otherwise.")
    threads: int = Field(0, ge=0, description="Examples: people put together out of threads.")
    queries: int = Field(6, ge=1, le=16, description="Lines of a list at the most.")
    own_words: int = Field(
        0, ge=0, le=4, description="Of the person's own words, so many stand before each query."
    )


class SftConfig(TrainingConfig):
    """A supervised training run."""

    searches: str | None = Field(
        None, description="Searches, a file in the data folder; of sources `nq` alone."
    )
    people: PeopleParams | None = Field(None, description="None: simulated users alone teach.")
    mixes: dict[MixName, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Simulated users of each mix; none: people alone teach."
    )
    worlds: int = Field(
        0,
        ge=0,
        description="Worlds that training users live in, of training's articles alone, each "
        "clustered anew. 0: the world that evaluation's users live in, too.",
    )
    label: ReferenceForm | None = Field(None, description="The lists that simulated users teach.")
    verdict: VerdictParams | None = Field(None, description="None: the answers alone are taught.")
    train: TrainParams = TrainParams()

    @model_validator(mode="after")
    def _somebody_teaches(self) -> Self:
        if not (self.people or self.mixes):
            raise ValueError("nobody teaches: give people, or mixes of simulated users")
        if self.mixes and not (self.label and self.searches):
            raise ValueError("mixes need label and searches: what simulated users teach and search")
        return self

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
