"""Process logs: JSON lines on stderr, each with the run's id. They name steps, counts and agents, and nothing of a person."""

import sys
from collections.abc import Callable
from typing import Any

import structlog


def stage_logger(run_id: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    """A listener to the steps of a run that logs each and passes it on to `tell`."""
    log: Any = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer(sort_keys=True)],
        run_id=run_id,
    )

    def listen(stage: str) -> None:
        if stage:
            log.info("step", step=stage)
        tell(stage)

    return listen
