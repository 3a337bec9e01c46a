"""The configuration of training by rewards, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from models.rewards.scoring import chosen_rewards
from models.rewards.terms import REWARDS
from models.training.params import Part, TrainingConfig
from service.errors import ConfigurationError
from service.yaml_files import read_yaml


class GroupParams(Part):
    """How lists are sampled."""

    prompts: int = Field(16, ge=1, description="Prompts of a step.")
    lists: int = Field(8, ge=2, description="Lists of a prompt, whose rewards are compared.")
    most_tokens: int = Field(64, ge=4, description="Of a list.")
    temperature: float = Field(1.0, gt=0, le=2)


class SeenParams(Part):
    """Who is written for: written people and people put together out of threads."""

    views: int = Field(ge=1, description="Prompts: people, in turn, each time seen otherwise.")
    threads: int = Field(0, ge=0, description="Prompts: people put together out of threads.")


class PolicyParams(Part):
    """The optimiser's settings; one step is one batch of groups."""

    steps: int = Field(100, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    warmup_share: float = Field(0.05, ge=0, lt=1)
    kl: float = Field(
        0.02, ge=0, description="Weight of staying near the student that it starts from."
    )
    clip: float = Field(0.2, gt=0, lt=1)
    together: int = Field(1, ge=1, description="Prompts whose lists go through the model at once.")
    checkpoint_steps: int = Field(10, ge=1, description="Steps between two checkpoints.")


class GrpoConfig(TrainingConfig):
    """A training by rewards."""

    starts_from: str = Field(
        pattern=r"^[a-z0-9-]+/[A-Za-z0-9._-]+$",
        description="name/version of the student whose adapter is trained on.",
    )
    people: SeenParams
    group: GroupParams = GroupParams()
    rewards: dict[str, float] = Field(
        default_factory=lambda: {name: reward.weight for name, reward in REWARDS.items()},
        description="Weight of each reward; one that is not named counts nothing.",
    )
    train: PolicyParams = PolicyParams()

    @field_validator("rewards")
    @classmethod
    def _rewards_exist(cls, weights: dict[str, float]) -> dict[str, float]:
        try:
            chosen_rewards(weights)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        return weights

    @model_validator(mode="after")
    def _prompts_fill_their_turns(self) -> Self:
        if self.group.prompts % self.train.together:
            raise ValueError(
                f"train.together is {self.train.together}, which does not divide group.prompts "
                f"({self.group.prompts}): make it one of its divisors"
            )
        return self


def load_config(path: Path) -> GrpoConfig:
    """Read a configuration. Raises `ConfigurationError` naming the file, field and remedy."""
    return read_yaml(path, GrpoConfig, "configuration")
