"""Encoders of the registry, and their build out of an archive that is checked."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from models.packaging.encoders import (
    DEFAULT_ENCODER,
    EncoderEntry,
    build_encoder,
    built_encoder,
    find_encoder,
    list_encoders,
)
from service.encoding.manifest import ENCODER_MANIFEST, load_encoder_manifest, verify_encoder
from service.errors import ConfigurationError

MODEL, TOKENIZER = b"a model" * 1_000, b'{"a": "tokenizer"}'


def silent(what: str, share: float) -> None:
    assert 0 <= share <= 1


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.jar"
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("a-model.onnx", MODEL)
        members.writestr("a-tokenizer.json", TOKENIZER)
    return path


@pytest.fixture
def entry(tmp_path: Path, archive: Path) -> EncoderEntry:
    folder = tmp_path / "registry" / "tiny" / "1"
    folder.mkdir(parents=True)
    fields = {
        "name": "tiny",
        "version": "1",
        "dimension": 8,
        "max_tokens": 16,
        "pooling": "mean",
        "source": {
            "group": "com.example.things",
            "artifact": "tiny",
            "version": "1.2",
            "sha256": sha(archive.read_bytes()),
            "model": "a-model.onnx",
            "tokenizer": "a-tokenizer.json",
        },
        "model": {"file": "model.onnx", "sha256": sha(MODEL)},
        "tokenizer": {"file": "tokenizer.json", "sha256": sha(TOKENIZER)},
        "licence": "ours",
        "card": "card.md",
    }
    (folder / ENCODER_MANIFEST).write_text(yaml.safe_dump(fields))
    (folder / "card.md").write_text("# tiny")
    return EncoderEntry(load_encoder_manifest(folder), folder)


@contextmanager
def repository(archive: Path, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = archive.read_bytes() if status == 200 else b""
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/maven2/", asked
    finally:
        server.shutdown()
        server.server_close()


def test_every_encoder_of_the_registry_lies_in_the_folder_of_its_name_with_its_card() -> None:
    entries = list_encoders()
    assert DEFAULT_ENCODER in {entry.manifest.name for entry in entries}
    for entry in entries:
        assert entry.folder.parts[-2:] == (entry.manifest.name, entry.manifest.version)
        assert entry.manifest.card is not None
        assert (entry.folder / entry.manifest.card).is_file()
        assert find_encoder(entry.manifest.key) == entry
    with pytest.raises(ConfigurationError, match="there are: all-minilm-l6-v2@1"):
        find_encoder("nobody")


def test_an_archive_is_fetched_from_its_place_in_the_repository_checked_and_unpacked(
    tmp_path: Path, entry: EncoderEntry, archive: Path
) -> None:
    target = built_encoder(entry.manifest, tmp_path / "built")
    with repository(archive) as (url, asked):
        assert build_encoder(entry, target, silent, repository=url)
        assert not build_encoder(entry, target, silent, repository=url), "it is there already"
    assert asked == ["/maven2/com/example/things/tiny/1.2/tiny-1.2.jar"]
    verify_encoder(load_encoder_manifest(target), target)
    assert (target / "card.md").read_text() == "# tiny"
    assert find_encoder(str(target)).manifest == entry.manifest


def test_a_damaged_build_is_built_again(tmp_path: Path, entry: EncoderEntry, archive: Path) -> None:
    target = tmp_path / "built"
    build_encoder(entry, target, silent, archive=archive)
    (target / "model.onnx").write_bytes(b"cut")
    with pytest.raises(ConfigurationError, match="interests encoders build tiny@1"):
        verify_encoder(entry.manifest, target)
    assert build_encoder(entry, target, silent, archive=archive)
    verify_encoder(entry.manifest, target)


def test_another_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, entry: EncoderEntry, archive: Path
) -> None:
    archive.write_bytes(archive.read_bytes() + b"more")
    target = tmp_path / "built" / "tiny"
    with pytest.raises(ConfigurationError, match=r"archive\.jar: sha256 is"):
        build_encoder(entry, target, silent, archive=archive)
    with pytest.raises(ConfigurationError, match="is no file"):
        build_encoder(entry, target, silent, archive=tmp_path / "nowhere.jar")
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("status", [404, 500])
def test_a_repository_that_does_not_have_it_is_named_with_the_remedy(
    tmp_path: Path, entry: EncoderEntry, archive: Path, status: int
) -> None:
    with (
        repository(archive, status) as (url, _),
        pytest.raises(ConfigurationError, match=rf"it answers {status}; .*--repository"),
    ):
        build_encoder(entry, tmp_path / "built", silent, repository=url)
    with pytest.raises(ConfigurationError, match="cannot be fetched"):
        build_encoder(entry, tmp_path / "built", silent, repository="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="cannot be fetched"):
        build_encoder(entry, tmp_path / "built", silent, repository="no url")
