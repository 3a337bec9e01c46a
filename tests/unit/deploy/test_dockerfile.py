"""What the Dockerfile says: hadolint, in `make check`, knows Dockerfiles; this knows our images."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from service.settings import load_settings
from tests.parts.dockerfile import ROOT, Stage, build_context, expand, read_dockerfile

TEXT = (ROOT / "Dockerfile").read_text()
FILE = read_dockerfile(TEXT)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = [FILE.stages["gateway"], FILE.stages["engine"]]
EXACT = re.compile(r"[\w./-]+:(\d+\.){2,}\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
IMAGE_ALONE = {"--no-install-project", "--no-editable", "--reinstall-package", "interests"}
"""Words of `uv sync` that make a layer without the sources, and one with them and no link."""

targets = pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])


def settings_of_the_image(folder: Path) -> dict[str, str]:
    """The gateway's image's `INTERESTS_…`; its file of settings is written into this folder."""
    [writes] = re.findall(
        r"printf .+? > (?=/built/settings\.yaml)",
        "\n".join(run.value for run in FILE.stages["workshop"].all("RUN")),
        re.DOTALL,
    )
    given = {
        name: value
        for name, value in environment(FILE.stages["gateway"]).items()
        if name.startswith("INTERESTS_")
    }
    file = folder / Path(given["INTERESTS_CONFIG"]).name
    subprocess.run(["sh", "-c", f"{writes}{shlex.quote(str(file))}"], check=True)
    return given | {"INTERESTS_CONFIG": str(file)}


def environment(stage: Stage) -> dict[str, str]:
    """All ENV of a stage."""
    found: dict[str, str] = {}
    for instruction in stage.all("ENV"):
        found |= instruction.pairs(found)
    return found


def synced(text: str) -> set[str]:
    """The words of each `uv sync` in a shell's text, variables as they stand, all in one set."""
    calls = re.findall(r"(?:uv|\$\(UV\)) sync ([^&\n]+)", text)
    assert calls
    return {word for call in calls for word in shlex.split(call)}


def rule(target: str) -> str:
    """The commands that the Makefile makes a target with."""
    found = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert found
    return found[1]


def test_every_base_image_is_pinned_by_an_exact_tag() -> None:
    bases = {stage.base for stage in FILE.stages.values()} - set(FILE.stages)
    named = re.findall(r"ENGINE_BASE=(\S+cuda\S+)", TEXT)
    assert named
    assert [base for base in (*bases, *named) if not EXACT.fullmatch(base)] == []


@targets
def test_a_target_runs_as_a_number_that_is_not_root(target: Stage) -> None:
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", target.last("USER").value)


@targets
def test_a_target_is_started_ended_and_watched_without_a_shell(target: Stage) -> None:
    for name in ("ENTRYPOINT", "HEALTHCHECK", "VOLUME"):
        assert target.last(name).words, name
    assert all(command.words for command in target.all("CMD"))
    assert target.last("STOPSIGNAL").value == "SIGTERM"
    assert {"interval", "timeout", "start-period"} <= set(target.last("HEALTHCHECK").options)


@targets
def test_a_target_runs_nothing_of_its_own_so_that_all_steps_are_in_stages_before(
    target: Stage,
) -> None:
    assert target.all("RUN") == []


@targets
def test_a_targets_labels_say_version_licence_and_where_its_parts_are_listed(target: Stage) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = target.last("LABEL").pairs({})
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]
    assert labels["org.opencontainers.image.title"]
    assert labels["org.opencontainers.image.description"]
    sbom = labels["interests.sbom.path"]
    written = [run.value for stage in FILE.stages.values() for run in stage.all("RUN")]
    assert any(f"--output-file {sbom}" in command for command in written)


def test_uv_is_the_one_of_the_makefile() -> None:
    wanted = re.search(r"^UV_VERSION := (\S+)", MAKEFILE, re.MULTILINE)
    assert wanted
    said = [pairs for arg in FILE.stages["locked"].all("ARG") for pairs in [arg.pairs({})]]
    assert {"UV_VERSION": wanted[1]} in said


def test_the_engines_environment_is_installed_as_make_engine_does() -> None:
    stage = FILE.stages["engine-environment"]
    extras = stage.last("ARG").pairs({})
    ours = synced("\n".join(run.value for run in stage.all("RUN")))
    theirs = synced(rule(".venv-engine/.installed"))
    assert extras["ENGINE_EXTRA"] in re.findall(r"ENGINE := .*", MAKEFILE)[0]
    said = {expand(word, extras) for word in ours} - IMAGE_ALONE
    made = {word.replace("$(ENGINE)", extras["ENGINE_EXTRA"]) for word in theirs}
    assert said == {word.replace("$(PYTHON)", "python3") for word in made}


def test_the_gateways_environment_is_the_lock_files_for_the_gateway_and_its_traces() -> None:
    words = synced("\n".join(run.value for run in FILE.stages["gateway-environment"].all("RUN")))
    left_out = {"--no-install-package", "grpcio", "hf-xet"}
    assert words - IMAGE_ALONE - left_out == {"--frozen", "--no-dev", "--extra", "tracing"}


def test_a_builds_context_holds_what_is_copied_and_no_file_more() -> None:
    context = build_context(ROOT, (ROOT / ".dockerignore").read_text())
    copied = {
        name
        for stage in FILE.stages.values()
        for copy in stage.all("COPY")
        if "from" not in copy.options
        for name in copy.value.split()[:-1]
    }
    assert {path.partition("/")[0] for path in context} == copied
    assert "models/students/interests-small/9/adapter.safetensors" in context
    assert not [path for path in context if "__pycache__" in path or "/." in path]


def test_patterns_of_a_context_hold_in_their_order(tmp_path: Path) -> None:
    for name in ("a/one.py", "a/b/two.py", "a/b/two.pyc", "a/.hidden", "c.txt", ".env"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert build_context(tmp_path, "# of a\n*\n!a\n**/*.pyc\n**/.*\n") == {"a/one.py", "a/b/two.py"}
    assert build_context(tmp_path, "a/*.py\n.env") == {
        *("a/b/two.py", "a/b/two.pyc", "a/.hidden", "c.txt")
    }


def test_the_gateways_environment_variables_are_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in settings_of_the_image(tmp_path).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.host == "0.0.0.0"
    copied = {copy.value.split()[-1] for copy in FILE.stages["gateway"].all("COPY")}
    manifests = settings.students["main"].manifest, settings.encoder.manifest
    assert {str(path.parent) for path in manifests if path} == {
        path for path in copied if path.endswith(("/student", "/encoder"))
    }
    [volume] = FILE.stages["gateway"].last("VOLUME").words or []
    assert str(settings.data_dir) == volume
    assert str(settings.port) == FILE.stages["gateway"].last("EXPOSE").value


def test_the_charts_settings_stand_in_the_place_of_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings_of_the_image(tmp_path).items():
        monkeypatch.setenv(name, value)
    charts = tmp_path / "charts.yaml"
    charts.write_text("students_file: students.yaml\n")
    monkeypatch.setenv("INTERESTS_CONFIG", str(charts))
    settings = load_settings()
    assert settings.students_file == Path("students.yaml")
    assert settings.encoder.manifest is None
