"""A PostgreSQL for whoever asks for one: started once for all tests of a process, a fresh database for each test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from tests import postgres as servers

settings.register_profile("remit", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("remit")


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Server]:
    """The server that `REMIT_TEST_POSTGRES_URL` names, or one of our own; tests are skipped where there can be none."""
    if given := os.environ.get("REMIT_TEST_POSTGRES_URL"):
        yield servers.Server(given)
        return
    with ExitStack() as stack:
        try:
            server = stack.enter_context(servers.running())
        except servers.NONE as error:
            pytest.skip(f"no PostgreSQL could be started: {error}")
        yield server


@pytest.fixture
def own_postgres(postgres: servers.Server) -> Iterator[servers.Server]:
    """A server that may be killed; it runs again after the test."""
    if not postgres.killable:
        pytest.skip("the server of REMIT_TEST_POSTGRES_URL is not ours to kill")
    yield postgres
    postgres.start()


@pytest.fixture
def database(postgres: servers.Server) -> Iterator[str]:
    """The URL of an empty database, gone after the test."""
    with postgres.database() as url:
        yield url
