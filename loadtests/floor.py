"""The floor under every answer: a bare FastAPI application that answers with a ready object.

    python -m loadtests.floor --answer answer.json --port 8081

It has the gateway's request model and response model, on uvicorn with uvloop and httptools, and
nothing else: what it takes, any service of this contract takes that is written as the framework's
manual shows it. `--answer` is an answer of a gateway, of the size that is to be compared with.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from loadtests.local_gateway import HOST
from service.api.answers import InterestsOut
from service.api.schemas import InterestsIn


def floor(ready: InterestsOut) -> FastAPI:
    """The application that answers so."""
    app = FastAPI(openapi_url=None)

    @app.post("/v1/interests", response_model=InterestsOut, response_model_exclude_none=True)
    async def interests(body: InterestsIn) -> InterestsOut:
        """The ready answer."""
        return ready

    @app.get("/health")
    async def health() -> dict[str, str]:
        """It is up."""
        return {"status": "ok"}

    return app


def main() -> None:
    """Read the flags and serve until killed."""
    cli = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    cli.add_argument("--answer", type=Path, required=True, help="JSON of an answer")
    cli.add_argument("--port", type=int, default=8081)
    chosen = cli.parse_args()
    ready = InterestsOut.model_validate_json(chosen.answer.read_bytes())
    uvicorn.run(
        floor(ready),
        host=HOST,
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
