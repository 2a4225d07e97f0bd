"""`remit serve`: the gateway of a workspace, in one process or several."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from remit.gateway.rest import app
from remit.runtime.workspace import open_workspace

_WORKSPACE = "REMIT_WORKSPACE"


def serve(workspace: Path, host: str, port: int, workers: int) -> None:
    """Serves until it is told to end. Each worker is a process of its own."""
    open_workspace(workspace)
    os.environ[_WORKSPACE] = str(workspace.resolve())
    uvicorn.run("remit.runtime.serving:application", factory=True, host=host, port=port, workers=workers, access_log=False, log_level="warning")


def application() -> FastAPI:
    """The application of one worker, for the workspace that the environment names."""
    worker = Worker(open_workspace(Path(os.environ[_WORKSPACE])))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.open()
        yield
        worker.close()

    return app(worker, lifespan)
