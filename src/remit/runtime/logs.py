"""Process logs: JSON lines on stderr, each with the run's id. They name steps, counts and agents, and nothing of a person."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog


def stage_logger(run_id: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    """A listener to the steps of a run that logs each and passes it on to `tell`."""
    log = _lines(run_id)

    def listen(stage: str) -> None:
        if stage:
            log.info("step", step=stage)
        tell(stage)

    return listen


def gateway_logger(run_id: str) -> Callable[..., None]:
    """Writes events of a gateway, and has whatever its parts log through the standard library written in the same way."""
    log = _lines(run_id)
    handler = _Passing(log)
    for name in ("remit", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)

    def write(event: str, **fields: object) -> None:
        log.info(event, **fields)

    return write


class _Passing(logging.Handler):
    """Passes records on. Of an exception its kind alone: its message and its frames may name somebody."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """As logging asks."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        said = record.msg.splitlines()[0] if kind and isinstance(record.msg, str) else record.getMessage()
        self._log.info(said, logger=record.name, level=record.levelname.lower(), **({"fault": kind} if kind else {}))


def _lines(run_id: str) -> Any:
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.JSONRenderer(sort_keys=True)],
        run_id=run_id,
    )
