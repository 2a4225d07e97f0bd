"""PostgreSQL alone: its guards, what its failures are told as, and a server that is killed, full, read-only, or somebody else's."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from remit.ledger import Entry, Ledger, LedgerError, Place, create_ledger, migrate_ledger, open_ledger, read_ledger, verify
from remit.ledger.databases import connect_log, disposing, reading, writing
from remit.ledger.postgresql import _FACTS, Postgresql, schema_facts
from tests.ledger.small import on_postgresql, run_cycle, stream
from tests.ledger.test_failures import appender
from tests.postgres import GUARDED, Server, running

FAILURE = Entry("failure", "remit.failure/1", {"agent": "email", "error": "no model", "at": 5})


def raw(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection of somebody else."""
    return psycopg.connect(sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)


def changed(url: str, **parts: object) -> str:
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)


AGAIN = "INSERT INTO entries SELECT {}, kind, schema, leaf, hcp, commitment, body, ciphertext FROM entries WHERE seq = 7"


@on_postgresql
def test_the_database_refuses_to_change_or_take_away(ledger: Ledger) -> None:
    with raw(ledger.place.url) as connection:
        connection.execute("INSERT INTO nodes VALUES (8, 0, '')")
        for statement in (
            "UPDATE entries SET body = '' WHERE seq = 2",
            "DELETE FROM entries WHERE seq = 7",
            "TRUNCATE entries",
            AGAIN.format("seq") + " ON CONFLICT (seq) DO UPDATE SET body = ''",
            *(AGAIN.format(seq) for seq in (99, 9, -2)),
            "UPDATE checkpoints SET note = ''",
            "DELETE FROM checkpoints",
            "INSERT INTO checkpoints SELECT size - 1, 'other', cycle, note FROM checkpoints",
            "DELETE FROM nodes",
            "SET session_replication_role = replica; TRUNCATE nodes",
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                connection.execute(statement)
        more = "INSERT INTO checkpoints SELECT size + 1, batch, cycle, note FROM checkpoints"
        for taken in (AGAIN.format("seq"), more, "INSERT INTO nodes VALUES (8, 0, '')"):
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute(taken)
    assert ledger.size == 8


def facts(url: str, folder: Path) -> list[list[str]]:
    migrated = Place(folder, url)
    create_ledger(migrated, name="remit/test", entropy=stream())
    with disposing(connect_log(migrated, writing=False)) as engine, reading(engine) as connection:
        return [list(fact) for fact in schema_facts(connection, ["checkpoints", "entries", "nodes"])]


def test_the_schema_that_verify_expects_is_the_one_that_the_migrations_make(database: str, tmp_path: Path) -> None:
    """After a new migration, write what this finds to `migrations/postgresql.json`, a fact to a line."""
    assert facts(database, tmp_path) == json.loads(_FACTS.read_bytes())


def test_an_older_server_has_the_same_schema(own_postgres: Server, tmp_path: Path) -> None:
    with running(16) as older, older.database() as url:
        assert facts(url, tmp_path) == json.loads(_FACTS.read_bytes())


def test_a_schema_of_its_own_in_a_shared_database_is_enough_and_is_told_apart(database: str, tmp_path: Path) -> None:
    with raw(database) as connection:
        connection.execute("CREATE SCHEMA north; CREATE SCHEMA south; CREATE TABLE public.entries (mine int)")
    for name in ("north", "south"):
        place = Place(tmp_path / name, f"{database}&options=-csearch_path%3D{name}")
        create_ledger(place, name=f"remit/{name}", entropy=stream())
        with open_ledger(place, entropy=stream(3)) as ledger:
            run_cycle(ledger, f"cycle-{name}")
        assert verify(place).faults == ()
    crossed = Place(tmp_path / "north", f"{database}&options=-csearch_path%3Dsouth")
    for attempt in (lambda: read_ledger(crossed), lambda: open_ledger(crossed, entropy=stream())):
        with pytest.raises(LedgerError, match="it holds the log of another ledger, signed by remit/south"):
            attempt()
    assert "another ledger" in verify(crossed).faults[0].what


WEAKENED = {
    "DROP TRIGGER entries_refuse_change ON entries": "trigger `entries_refuse_change`",
    "ALTER TABLE entries DISABLE TRIGGER entries_follow": "trigger `entries_follow`",
    "ALTER TABLE nodes ENABLE TRIGGER nodes_refuse_change": "trigger `nodes_refuse_change`",
    "CREATE OR REPLACE FUNCTION checkpoints_follow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'": "trigger `checkpoints_follow`",
    "ALTER TABLE nodes DROP CONSTRAINT nodes_pkey": "constraint `nodes_pkey`",
    "ALTER TABLE entries ALTER body DROP NOT NULL": "column `entries.body`",
    "CREATE RULE hide AS ON INSERT TO nodes DO INSTEAD NOTHING": "rule `hide`",
    "CREATE POLICY hide ON entries USING (seq < 5); ALTER TABLE entries ENABLE ROW LEVEL SECURITY": "policy `hide`",
    "CREATE TABLE more () INHERITS (entries)": "child table `more`",
    "ALTER TABLE checkpoints SET UNLOGGED": "table `checkpoints`",
}


@on_postgresql
def test_a_guard_that_was_weakened_is_named(ledger: Ledger) -> None:
    for statement, named in WEAKENED.items():
        with raw(ledger.place.url) as connection:
            before = {fault.what for fault in verify(ledger.place, deep=False).faults}
            connection.execute(statement)
            assert f"{named} is missing or was changed" in {fault.what for fault in verify(ledger.place, deep=False).faults} - before, statement


def test_a_log_on_postgresql_has_the_roots_and_the_receipts_of_one_on_sqlite(database: str, tmp_path: Path) -> None:
    written = []
    for place in (Place(tmp_path / "sqlite"), Place(tmp_path / "postgresql", database)):
        create_ledger(place, name="remit/test", entropy=stream())
        with open_ledger(place, entropy=stream(3)) as ledger:
            run_cycle(ledger, hcps=40)
            ledger.append(
                "many",
                [Entry("failure", "remit.failure/1", {"agent": "a", "error": "\x00 \ud7ff \U0010ffff", "at": at}) for at in (-(2**63), 2**63 - 1)] * 300,
                cycle="c",
            )
            ledger.erase("hcp-0003", now=5, reason="request")
            receipts = [ledger.receipt("cycle-1", "decisions", f"hcp-{hcp:04d}", 4 * hcp) for hcp in (0, 7, 39)]
            proof = ledger.consistency(42, ledger.size)
            written.append((ledger.checkpoint(), receipts, proof, list(ledger.entries()), [segment.file for segment in ledger.segments("cycle-1")]))
            assert verify(place).faults == ()
    assert written[0] == written[1]


@on_postgresql
@pytest.mark.parametrize("name", ["cycle\x00", "cycle\ud800", "cycle-1\n", "x" * 1000])
def test_a_name_that_no_batch_can_have_is_not_found(ledger: Ledger, name: str) -> None:
    assert ledger.appended(name) is None
    assert list(ledger.entries(cycle=name)) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def counting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "ledger", None if request.param == "sqlite" else request.getfixturevalue("database"))
    create_ledger(place, name="remit/test", entropy=stream())
    with disposing(connect_log(place, writing=True)) as engine, writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE taken (number BIGINT NOT NULL)")
        connection.exec_driver_sql("INSERT INTO taken VALUES (0)")
    return place


def test_counters_read_and_written_in_write_transactions_are_never_taken_twice(counting: Place) -> None:
    seen: list[int] = []

    def take() -> None:
        with disposing(connect_log(counting, writing=True)) as engine:
            for _ in range(50):
                with writing(engine) as connection:
                    number = connection.exec_driver_sql("SELECT number FROM taken").scalar()
                    connection.exec_driver_sql(f"UPDATE taken SET number = {number + 1}")  # noqa: S608 - a number
                    seen.append(number)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(seen) == list(range(200))


def test_a_reader_sees_one_state_while_others_write(counting: Place) -> None:
    with disposing(connect_log(counting, writing=True)) as engine, disposing(connect_log(counting, writing=False)) as reader:
        with reading(reader) as connection:
            before = connection.exec_driver_sql("SELECT number FROM taken").scalar()
            with writing(engine) as other:
                other.exec_driver_sql("UPDATE taken SET number = 7")
            assert connection.exec_driver_sql("SELECT number FROM taken").scalar() == before
        with reading(reader) as connection:
            assert connection.exec_driver_sql("SELECT number FROM taken").scalar() == 7


def test_nothing_can_be_written_where_only_reading_was_asked_for(counting: Place) -> None:
    with disposing(connect_log(counting, writing=False)) as engine, pytest.raises(LedgerError, match="cannot be written"), writing(engine) as connection:
        connection.exec_driver_sql("UPDATE taken SET number = 7")


@on_postgresql
def test_a_commit_waits_for_the_disk_even_where_the_server_would_not(ledger: Ledger) -> None:
    with raw(ledger.place.url) as connection:
        connection.execute(f"ALTER DATABASE {sa.make_url(ledger.place.url).database} SET synchronous_commit = off")
    with disposing(connect_log(ledger.place, writing=True)) as engine, writing(engine) as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


@on_postgresql
def test_a_server_killed_while_it_appends_loses_nothing_and_the_same_run_again_appends_once(place: Place, own_postgres: Server) -> None:
    for pause_s in (0.0, 0.05):
        process = appender(place, 1000)
        process.stdout.readline()
        time.sleep(pause_s)
        own_postgres.kill()
        printed, errors = process.communicate()
        assert process.returncode == 1
        assert "remit.ledger.errors.LedgerError" in errors.strip().splitlines()[-2], errors
        own_postgres.start()
        report = verify(place)
        assert report.faults == ()
        assert report.size % 12 == 0  # whole cycles: a cycle entry, a segment, ten actions
        assert report.size // 12 >= len(printed.split())
    done = report.size // 12
    finished = appender(place, done + 2)
    finished.communicate()
    assert finished.returncode == 0
    report = verify(place)
    assert (report.size, report.checkpoints, report.faults) == ((done + 2) * 12, done + 2, ())


@on_postgresql
def test_a_ledger_goes_on_after_its_server_was_away(ledger: Ledger, own_postgres: Server) -> None:
    own_postgres.kill()
    for attempt in (lambda: ledger.size, lambda: run_cycle(ledger, "cycle-2")):
        with pytest.raises(LedgerError, match=r"the server cannot be reached|the connection to the server was lost"):
            attempt()
    own_postgres.start()
    run_cycle(ledger, "cycle-2")
    assert (ledger.size, verify(ledger.place).faults) == (16, ())


@on_postgresql
def test_a_server_gone_between_commit_and_publishing_is_told_as_recorded_and_published_when_opened(
    ledger: Ledger, own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, publish = (ledger.folder / "checkpoint").read_bytes(), Ledger._publish

    def cut(mine: Ledger) -> None:
        own_postgres.kill()
        publish(mine)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_publish", cut)
        with pytest.raises(LedgerError, match="the batch is recorded, but the server cannot be reached"):
            ledger.append("more", [FAILURE], cycle="c")
    own_postgres.start()
    assert (ledger.folder / "checkpoint").read_bytes() == first
    assert verify(ledger.place).faults == ()
    with open_ledger(ledger.place, entropy=stream()) as again:
        assert (ledger.folder / "checkpoint").read_bytes() == again.checkpoint() != first
        assert again.append("more", [FAILURE], cycle="c").already


@on_postgresql
def test_a_connection_cut_before_the_commit_writes_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ledger.checkpoint()

    def cut(connection: sa.Connection, *_: object) -> None:
        with raw(ledger.place.url) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()])

    with monkeypatch.context() as patch:
        patch.setattr("remit.ledger.appending.insert", cut)
        with pytest.raises(LedgerError, match="the connection to the server was lost"):
            ledger.append("more", [FAILURE], cycle="c")
    assert ledger.checkpoint() == before
    assert ledger.append("more", [FAILURE], cycle="c").size == 9


@on_postgresql
def test_a_lock_that_another_holds_is_waited_for_and_then_told(ledger: Ledger) -> None:
    with disposing(connect_log(ledger.place, writing=True)) as other, open_ledger(ledger.place, entropy=stream(), wait_s=0.3) as impatient:
        with writing(other):
            start = time.monotonic()
            with pytest.raises(LedgerError, match="another process is writing to it"):
                run_cycle(impatient, "cycle-2")
            assert 0.2 < time.monotonic() - start < 5
            assert impatient.size == 8  # reading does not wait
        run_cycle(impatient, "cycle-2")
        assert impatient.size == 16


@on_postgresql
def test_a_turn_that_its_process_leaves_alone_is_ended_by_the_server_and_records_nothing(ledger: Ledger) -> None:
    size = ledger.size

    def halted() -> None:
        with ledger.turn(size, 0.2) as turn:
            turn.append("halted", [FAILURE], cycle="halted")
            with open_ledger(ledger.place, entropy=stream(), wait_s=5.0) as other:  # waits for the turn, and no longer
                other.append("others", [FAILURE], cycle="others")

    with pytest.raises(LedgerError, match="connection to the server was lost"):
        halted()
    assert ledger.size == size + 1
    assert ledger.appended("halted") is None
    with ledger.turn(ledger.size, 5.0) as turn:
        turn.append("later", [FAILURE], cycle="later")
    assert ledger.size == size + 2


@on_postgresql
def test_a_writer_with_a_schema_of_its_own_name_waits_for_the_same_lock(ledger: Ledger) -> None:
    role = f"writer_{sa.make_url(ledger.place.url).database}"
    rights = f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}"
    with raw(ledger.place.url) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN; CREATE SCHEMA AUTHORIZATION {role}; {rights}")
    other = Place(ledger.folder, changed(ledger.place.url, username=role))
    try:
        with disposing(connect_log(ledger.place, writing=True)) as engine, open_ledger(other, entropy=stream(), wait_s=0.3) as impatient:
            with writing(engine), pytest.raises(LedgerError, match="another process is writing to it"):
                impatient.append("more", [FAILURE], cycle="c")
            assert impatient.append("more", [FAILURE], cycle="c").size == 9
        assert verify(other).faults == ()
    finally:
        with raw(ledger.place.url) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@on_postgresql
def test_a_deadlock_is_told_and_leaves_nothing(ledger: Ledger) -> None:
    with raw(ledger.place.url) as other, disposing(connect_log(ledger.place, writing=True, wait_s=20)) as engine:
        other.execute("CREATE TABLE counters (number int)")
        other.execute("SET deadlock_timeout = '20s'; SET lock_timeout = '20s'; BEGIN; LOCK TABLE counters")
        entered = threading.Event()
        waits = threading.Thread(target=lambda: (entered.wait(20), other.execute(Postgresql.begin_writing.split("; ")[1])))
        waits.start()
        with pytest.raises(LedgerError, match="two transactions waited for each other"), writing(engine) as connection:
            entered.set() or connection.exec_driver_sql("LOCK TABLE counters")
        waits.join()
        other.execute("ROLLBACK")
    assert ledger.append("more", [FAILURE], cycle="c").size == 9


@on_postgresql
def test_a_read_only_database_can_be_read_and_verified_and_says_why_it_cannot_be_written(ledger: Ledger) -> None:
    name = sa.make_url(ledger.place.url).database
    with raw(ledger.place.url) as connection:
        connection.execute(f"CREATE ROLE reader_{name} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{name}")
    reader = Place(ledger.folder, changed(ledger.place.url, username=f"reader_{name}"))
    try:
        with read_ledger(reader) as records:
            assert records.size == 8
        assert verify(reader).faults == ()
        with open_ledger(reader, entropy=stream()) as refused, pytest.raises(LedgerError, match=r"the user may not do this \(42501\)"):
            refused.append("more", [FAILURE], cycle="c")
    finally:
        with raw(ledger.place.url) as connection:
            connection.execute(f"DROP OWNED BY reader_{name}; DROP ROLE reader_{name}")


def test_a_standby_can_be_read_and_verified_and_says_why_it_cannot_be_written(own_postgres: Server, place_on_own: Place) -> None:
    with open_ledger(place_on_own, entropy=stream(8)) as ledger:
        run_cycle(ledger)
    with own_postgres.standby() as standby:
        copy = Place(place_on_own.folder, standby.url_of(sa.make_url(place_on_own.url).database))
        with read_ledger(copy) as records:
            assert records.size == 8
        assert verify(copy).faults == ()
        with open_ledger(copy, entropy=stream()) as refused, pytest.raises(LedgerError, match="it cannot be written: it is read-only, or a standby"):
            refused.append("more", [FAILURE], cycle="c")


@pytest.fixture
def place_on_own(own_postgres: Server, database: str, tmp_path: Path) -> Place:
    place = Place(tmp_path / "ledger", database)
    create_ledger(place, name="remit/test", entropy=stream())
    return place


@pytest.fixture
def small_tablespace(own_postgres: Server) -> Iterator[str]:
    """The name of a place on the server that takes few bytes: a disk of its own, which only root can mount."""
    with tempfile.TemporaryDirectory() as disk:
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", disk], check=False).returncode:
            pytest.skip("only root can mount a small disk")
        try:
            Path(disk).chmod(0o777)
            space = Path(disk) / "space"
            space.mkdir()
            own_postgres.give(space)
            own_postgres.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
            yield "small"
            own_postgres.execute("DROP TABLESPACE small")
        finally:
            subprocess.run(["umount", disk], check=True)


def test_a_servers_full_disk_refuses_the_batch_and_keeps_the_log_as_it_was(own_postgres: Server, small_tablespace: str, tmp_path: Path) -> None:
    many = [Entry("failure", "remit.failure/1", {"agent": "a", "error": "e" * 1000, "at": at}) for at in range(6_000)]
    with own_postgres.database() as url:
        place = Place(tmp_path / "ledger", url)
        create_ledger(place, name="remit/test", entropy=stream())
        for table in ("entries", "nodes", "checkpoints"):
            own_postgres.execute(f"ALTER TABLE {table} SET TABLESPACE {small_tablespace}", sa.make_url(url).database)
        with open_ledger(place, entropy=stream(8)) as ledger:
            run_cycle(ledger)
            with pytest.raises(LedgerError, match=r"the server's disk is full; nothing was written \(53100\)"):
                ledger.append("many", many, cycle="c")
            assert ledger.size == 8
            own_postgres.execute("ALTER TABLE entries SET TABLESPACE pg_default", sa.make_url(url).database)
            assert ledger.append("many", many, cycle="c").size == 6_008
        assert verify(place).faults == ()


Spoil = Callable[[Ledger], Place]


@contextmanager
def _spoiled(ledger: Ledger, what: str) -> Iterator[Place]:
    url, name = ledger.place.url, sa.make_url(ledger.place.url).database
    with raw(url) as connection:
        if what == "newer":
            connection.execute("UPDATE alembic_version SET version_num = 'ledger_9999'")
        if what == "older":
            connection.execute("UPDATE alembic_version SET version_num = 'ledger_0000'")
        if what == "empty":
            connection.execute("DROP TABLE entries, nodes, checkpoints, alembic_version CASCADE")
        if what == "full":
            connection.execute(
                f"CREATE ROLE crowd_{name} LOGIN; ALTER DATABASE {name} CONNECTION LIMIT 0; GRANT SELECT ON ALL TABLES IN SCHEMA public TO crowd_{name}"
            )
        if what == "slow":
            connection.execute(f"ALTER DATABASE {name} SET statement_timeout = 1")
            connection.execute("ALTER TABLE checkpoints RENAME TO slow; CREATE VIEW checkpoints AS SELECT slow.* FROM slow, pg_sleep(1)")
    user = {"username": f"crowd_{name}"} if what == "full" else {}
    try:
        yield Place(ledger.folder, changed(url, **user, **({"database": "nowhere"} if what == "missing" else {})))
    finally:
        with raw(changed(url, database="postgres")) as connection:
            connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        if what == "full":
            with raw(url) as connection:
                connection.execute(f"DROP OWNED BY crowd_{name}; DROP ROLE crowd_{name}")


SPOILED = {
    "newer": r"written by a newer Remit \(schema `ledger_9999`\)",
    "missing": "there is no such database",
    "empty": r"it holds no ledger, or not all of it \(42P01\)",
    "full": "the server takes no more connections",
    "slow": r"a statement took longer than the server allows; nothing was written \(57014\)",
}


@on_postgresql
@pytest.mark.parametrize("what", SPOILED)
def test_what_is_wrong_with_a_database_is_one_message(ledger: Ledger, what: str) -> None:
    ledger.close()
    with _spoiled(ledger, what) as place:
        for attempt in (lambda: open_ledger(place, entropy=stream()), lambda: read_ledger(place)):
            with pytest.raises(LedgerError, match=SPOILED[what]) as caught:
                attempt()
            assert caught.value.where.startswith("postgresql://")
            assert caught.value.do
        if what == "newer":
            with pytest.raises(LedgerError, match="newer Remit"):
                migrate_ledger(place)
        assert len(verify(place).faults) == 1


@pytest.fixture
def guarded(own_postgres: Server, place_on_own: Place) -> Iterator[str]:
    """The URL of the database for a role that needs a password, without one."""
    name = sa.make_url(place_on_own.url).database
    own_postgres.execute(f"CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD 'open/s@same'")
    yield changed(place_on_own.url, username=GUARDED, password=None)
    own_postgres.execute(f"REASSIGN OWNED BY {GUARDED} TO postgres", name)
    own_postgres.execute(f"DROP ROLE {GUARDED}")


def test_a_password_opens_and_a_wrong_one_is_told_without_being_told(guarded: str, place_on_own: Place) -> None:
    with read_ledger(Place(place_on_own.folder, changed(guarded, password="open/s@same"))) as records:  # noqa: S106 - a test's own
        assert records.size == 0
        assert "s@same" not in repr(records.place)
    for password in ("wrong-Secret", None):
        with pytest.raises(LedgerError, match="the server refused the user or the password") as caught:
            read_ledger(Place(place_on_own.folder, changed(guarded, password=password)))
        assert "Secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql://remit:Secr@et@127.0.0.1/x", "its host holds an @"),
        ("mysql://remit:Secret@127.0.0.1/x", "it begins with `mysql`, not `postgresql`"),
        ("postgresql://remit:Secret@127.0.0.1", "it names no database"),
        ("postgresql://remit:Secret@127.0.0.1:port/x", "cannot be read"),
        ("Secret", "cannot be read"),
        ("postgresql://remit:Secret@127.0.0.1:1/x", "the server cannot be reached"),
        ("postgresql://remit@127.0.0.1:1/x?password=Secret", "the server cannot be reached"),
        ("postgresql://remit:Secret@no.such.host.invalid/x", "the server cannot be reached"),
        ("postgresql://remit@127.0.0.1/x?sslpassword=Secret&sslmode=Secret", "sslmode"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_and_begins_no_folder(url: str, what: str, tmp_path: Path) -> None:
    place = Place(tmp_path / "ledger", url)
    with pytest.raises(LedgerError, match=what) as caught:
        create_ledger(place, name="remit/test", entropy=stream())
    assert "Secr" not in str(caught.value) + repr(place)
    assert caught.value.do
    assert not place.folder.exists()


def test_a_database_in_use_or_of_another_encoding_takes_no_ledger(postgres: Server, database: str, tmp_path: Path) -> None:
    place = Place(tmp_path / "one", database)
    create_ledger(place, name="remit/one", entropy=stream())
    with open_ledger(place, entropy=stream()) as ledger:
        run_cycle(ledger)
    with pytest.raises(LedgerError, match="it holds a log of 8 entries already"):
        create_ledger(Place(tmp_path / "two", database), name="remit/two", entropy=stream())
    with postgres.database() as foreign, raw(foreign) as connection:
        connection.execute("CREATE TABLE entries (mine int)")
        with pytest.raises(LedgerError, match="it holds tables of these names that are not a ledger's"):
            create_ledger(Place(tmp_path / "two", foreign), name="remit/two", entropy=stream())
    with postgres.database(encoding="LATIN1") as latin, pytest.raises(LedgerError, match="its encoding is LATIN1"):
        create_ledger(Place(tmp_path / "two", latin), name="remit/two", entropy=stream())
    assert not (tmp_path / "two").exists()


def test_a_log_does_not_move_by_itself(database: str, tmp_path: Path) -> None:
    create_ledger(tmp_path / "here", name="remit/test", entropy=stream())
    there = Place(tmp_path / "there", database)
    create_ledger(there, name="remit/test", entropy=stream())
    with pytest.raises(LedgerError, match=r"the log of this ledger is in `ledger\.db`, and not on PostgreSQL"):
        open_ledger(Place(tmp_path / "here", database), entropy=stream())
    with pytest.raises(LedgerError, match="the log of this ledger is in a PostgreSQL database"):
        open_ledger(there.folder, entropy=stream())
    for place in (there.folder, there):
        with pytest.raises(LedgerError):
            create_ledger(place, name="remit/test", entropy=stream())


def test_a_ledger_whose_making_was_cut_short_is_made_again(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path / "ledger", database)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("remit.ledger.appending.create_keys", killed)
        with pytest.raises(KeyboardInterrupt):
            create_ledger(place, name="remit/test", entropy=stream())
    create_ledger(place, name="remit/test", entropy=stream())
    with open_ledger(place, entropy=stream()) as ledger:
        run_cycle(ledger)
    assert verify(place).faults == ()
