"""`interests` itself: which commands there are, that each is found, and what listing them costs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from service import cli
from service.cli import SUBCOMMANDS
from service.commands import experiments
from service.commands.lazy import Subcommand

HEAVY = (
    *("models", "deploy", "fastapi", "uvicorn", "redis", "opensearchpy", "tantivy", "numpy"),
    *("httpx", "aiohttp", "pydantic", "tokenizers"),
)


def leaves() -> Iterator[tuple[str, ...]]:
    """The words of every command that does something: `index load`, `serve` and so on."""
    for name, subcommand in SUBCOMMANDS.items():
        under: dict[str, object] = getattr(subcommand.load(name), "commands", {})
        yield from ((name, below) for below in under) if under else [(name,)]


@pytest.fixture
def without_models_and_deploy(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in {"models", "deploy"} else found(name, package)

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def listed() -> set[str]:
    """The commands that `interests --help` shows."""
    shown = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    first = (line.strip("│ ").partition(" ")[0] for line in shown.output.splitlines())
    return SUBCOMMANDS.keys() & set(first)


@pytest.mark.parametrize(
    ("name", "subcommand"), [*SUBCOMMANDS.items(), *experiments.SUBCOMMANDS.items()]
)
def test_every_subcommand_is_found_and_listed_with_the_first_line_of_its_own_help(
    name: str, subcommand: Subcommand
) -> None:
    command = subcommand.load(name)
    assert command.name == name
    assert subcommand.help == (command.help or "").partition("\n")[0]


def test_every_command_says_how_it_is_used() -> None:
    found = list(leaves())
    assert len(found) > len(SUBCOMMANDS), "those with commands of their own count for each"
    for words in found:
        shown = CliRunner().invoke(cli.app, [*words, "--help"], prog_name="interests")
        assert shown.exit_code == 0, shown.output
        assert f"Usage: interests {' '.join(words)} " in shown.output


def in_a_process(*arguments: str, **environment: str) -> tuple[list[str], set[str]]:
    """The lines that `interests …` says in a process of its own, and the packages it imported."""
    code = (
        "import sys\n"
        "from service.cli import main\n"
        "sys.argv = ['interests', *sys.argv[1:]]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    print('\\nstatus', end.code)\n"
        "print('imported', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    *said, status, imported = done.stdout.splitlines()
    assert status == "status 0"
    return said, set(imported.split())


def test_listing_the_commands_imports_neither_them_nor_the_libraries_that_serve() -> None:
    _, imported = in_a_process("--help")
    assert "typer" in imported
    assert not set(HEAVY) & imported


@contextmanager
def answering_gateway(answer: Mapping[str, object]) -> Iterator[str]:
    """The URL of what gives this answer to whatever is posted."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_asking_a_gateway_imports_nothing_that_serves() -> None:
    with answering_gateway({"user_id": "maya"}) as url:
        said, imported = in_a_process("ask", "maya", "--url", url, "--json")
    assert '"user_id": "maya"' in "".join(said)
    assert "typer" in imported
    # Typer reads options with pydantic.
    assert not ({*HEAVY, "pydantic_settings", "rich", "yaml", "asyncio"} - {"pydantic"}) & imported


def test_serving_begins_without_what_it_serves_with() -> None:
    """A gateway is alive before it has imported these."""
    code = "import sys, service.commands.serve; print(*sys.modules)"
    env = {**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    later = set(HEAVY) - {"uvicorn", "pydantic"}
    assert "uvicorn" in imported
    assert not {*later, "starlette", "onnxruntime", "opentelemetry", "rich"} & imported


def test_the_parts_of_a_gateway_do_without_what_their_libraries_offer_beside() -> None:
    code = (
        "import sys, service.commands.serve as serve, service.redis.client\n"
        "from service.libraries import models_built_when_used\n"
        "with models_built_when_used():\n"
        "    import fastapi.openapi.models as models\n"
        "import service.api.routes\n"
        "print(models.OpenAPI.__pydantic_complete__, *sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    complete, *imported = done.stdout.split()
    assert complete == "False"
    assert "redis.asyncio.cluster" in imported
    assert not {"pydantic.v1", "opentelemetry.sdk.metrics", "opentelemetry.metrics"} & {*imported}


def test_the_gateway_multiplies_on_one_thread_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given, used in ((None, "1"), ("4", "4")):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
        if given is None:
            monkeypatch.delenv("OPENBLAS_NUM_THREADS")
        SUBCOMMANDS["serve"].load("serve")
        assert os.environ["OPENBLAS_NUM_THREADS"] == used


def asked_by(shell: str, line: str) -> dict[str, str]:
    """The environment by which a shell asks how a line may go on that ends at the cursor."""
    words = line.split(" ")
    return {
        "_INTERESTS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_without_importing_them(shell: str) -> None:
    said, imported = in_a_process(**asked_by(shell, "interests "))
    assert all(name in "\n".join(said) for name in SUBCOMMANDS)
    assert not set(HEAVY) - {"pydantic"} & imported, "typer reads a line's words by pydantic"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("interests st", {"students"}),
        ("interests index ", {"load", "upsert", "delete"}),
        ("interests index load --", {"--max-errors", "--published"}),
        ("interests --version do", {"doctor"}),
    ],
)
def test_a_shell_completes_what_a_command_takes(shell: str, line: str, offered: set[str]) -> None:
    asked = CliRunner().invoke(
        cli.app, [], prog_name="interests", env=asked_by(shell, line), catch_exceptions=False
    )
    words = set(re.findall(r"[\w-]+", asked.output))
    assert offered <= words
    assert not {"serve", version("interests")} & words, "only what fits"


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_completion_is_offered_by_the_help(option: str) -> None:
    assert option in CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "200"}).output


def test_all_commands_are_listed() -> None:
    assert listed() == SUBCOMMANDS.keys()


@pytest.mark.usefixtures("without_models_and_deploy")
def test_where_models_and_deploy_are_not_installed_their_commands_are_not_there() -> None:
    own = {name for name, one in SUBCOMMANDS.items() if one.place.startswith("service.")}
    assert listed() == own < SUBCOMMANDS.keys()
    asked = CliRunner().invoke(cli.app, ["train", "sft"])
    assert asked.exit_code == 2
    assert "No such command 'train'" in asked.output


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run `interests …` in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["interests", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_an_unknown_command_is_a_line_of_usage_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "nonsense") == 2
    said = capsys.readouterr().err
    assert said.splitlines()[0] == "Usage: interests [OPTIONS] COMMAND [ARGS]..."
    assert said.count("Usage:") == 1
    assert "No such command 'nonsense'" in said
    assert "Traceback" not in said


def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERESTS_PORT", "http")
    assert run(monkeypatch, "serve") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "INTERESTS_PORT" in said
    assert said.count("\n") == 1


def test_the_installed_version_is_said() -> None:
    said = CliRunner().invoke(cli.app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"interests {version('interests')}\n")
