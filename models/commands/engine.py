"""`interests engine`: check the student, say what runs, become vLLM."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.engine.command import find_python, prepare_engine
from models.packaging.build import built_folder
from models.packaging.registry import DEFAULT_STUDENT, find_student
from service.addresses import authority
from service.manifest import MANIFEST, load_manifest


def engine(
    student: Annotated[
        str, typer.Option(help="A built student's folder, or `name` / `name@version`.")
    ] = DEFAULT_STUDENT,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8001,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    into: Annotated[
        Path, typer.Option(help="Folder that `interests students build` built into.")
    ] = Path(".local/students"),
    adapter: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of an adapter to serve beside the student; may be repeated."),
    ] = None,
    runtime_adapters: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many adapters more may be loaded while it runs, by whoever reaches it "
            "(`interests adapters load FOLDER`).",
        ),
    ] = 0,
    vllm_arguments: Annotated[
        list[str] | None, typer.Argument(help="Further vLLM arguments, after `--`.")
    ] = None,
) -> None:
    """Serve a built student with vLLM, as its manifest says.

    Give the engine a key by VLLM_API_KEY in the environment.
    """
    entry = find_student(student)
    folder = entry.folder
    if not (Path(student) / MANIFEST).is_file() and not Path(student).is_file():
        folder = built_folder(entry.manifest, into)
    argv, environment = prepare_engine(
        entry.manifest,
        folder,
        port=port,
        host=host,
        python=find_python(os.environ, Path.cwd()),
        adapters=adapter or (),
        runtime_adapters=runtime_adapters,
        extra=vllm_arguments or (),
    )
    url = f"http://{authority(host, port)}"
    keys = [entry.manifest.key, *(load_manifest(folder).key for folder in adapter or ())]
    sys.stderr.write(f"{', '.join(keys)} on {url}: {shlex.join(argv)}\n")
    sys.stderr.flush()
    # What the operator set in the environment wins over our defaults.
    os.execve(argv[0], argv, {**environment, **os.environ})
