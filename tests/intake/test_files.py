"""Files that break as a whole, and files that only look odd."""

import polars as pl
import pytest

from remit.intake import Outcome, files, read_quarantine

HEADER = "hcp_id,product,period,trx,nrx,nbrx,received_at\n"
ROW = "H1,alpha,2025-W01,3,1,0,2025-02-01T00:00:00Z\n"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty: there is not even a header"),
        (HEADER.replace(",", ";") + ROW.replace(",", ";"), "cells are separated by semicolons: separate them by commas"),
        (HEADER.replace(",", "\t") + ROW.replace(",", "\t"), "cells are separated by tabs: separate them by commas"),
        ((HEADER + ROW).encode("utf-16"), "is UTF-16 text, not CSV in UTF-8"),
        (b"PK\x03\x04" + b"x" * 50, "is a zip archive or an Excel workbook, not CSV in UTF-8"),
        ((HEADER + ROW + ROW.replace("alpha", "caf\u00e9")).encode("latin-1"), "line 3 is not UTF-8"),
        (HEADER + ROW + "H1,al\0pha,,,,,\n", "line 3 holds a zero byte: this is not text"),
        (HEADER + ROW + "H2,alpha,2025-W01,3\n", "line 3 has 4 cells, not 7"),
        (HEADER + ROW + "H2,alpha,2025-W01,3,1,0,2025-02-01T00:00:00Z,extra\n", "line 3 has 8 cells, not 7"),
        (HEADER + ROW + "\n" + ROW, "line 3 has 1 cells, not 7"),
        (HEADER + 'H1,"al\npha",2025-W01,3,1,0,2025-02-01T00:00:00Z\n', "line 2: a quoted cell does not end on its line"),
    ],
)
def test_a_file_that_is_no_csv_of_ours_is_refused_with_the_reason(desk, content, fault):
    assert desk.faults("rx/file.csv", content) == (fault,)


def test_all_faults_of_the_columns_are_told_at_once(desk):
    faults = desk.faults("rx/file.csv", "hcp_id,hcp_id,produkt,trx,nrx,nbrx,recieved_at\n")
    assert set(faults) == {
        "column `hcp_id` is there 2 times",
        "column `produkt` is not in the contract; is it `product`?",
        "column `recieved_at` is not in the contract; is it `received_at`?",
        "column `period` is missing",
        "column `product` is missing",
    }


def test_many_ragged_lines_are_counted_after_the_first_few(desk):
    faults = desk.faults("rx/file.csv", HEADER + "a,b\n" * 12)
    assert len(faults) == 6
    assert faults[-1] == "and 7 more such lines"


def test_damaged_parquet_is_refused(desk):
    assert desk.faults("rx/file.parquet", b"PAR1 nonsense") == ("is not Parquet, or is damaged",)


def test_parquet_that_holds_lists_is_refused(desk):
    path = desk.feeds / "rx" / "file.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame({"hcp_id": [["H1"]]}).write_parquet(path)
    assert "column `hcp_id` holds List(String), which is not a plain value" in desk.load().files[0].faults


def test_a_file_of_another_kind_is_refused(desk):
    assert desk.faults("rx/notes.docx", b"x") == ("is not a file of this feed: they are CSV (.csv) or Parquet (.parquet)",)


def test_what_cannot_be_opened_and_what_lies_too_deep_is_refused(desk):
    desk.write("rx/2025/a.csv", HEADER + ROW)
    (desk.feeds / "rx" / "gone.csv").symlink_to("nowhere.csv")
    assert [report.faults for report in desk.load().files] == [
        ("is not a file of this feed: they are CSV (.csv) or Parquet (.parquet)",),
        ("cannot be read: No such file or directory",),
    ]


def test_a_refused_file_does_not_stop_the_others_and_is_tried_again(desk):
    desk.write("rx/a.csv", "nonsense\n")
    desk.write("rx/b.csv", HEADER + ROW)
    assert [report.outcome for report in desk.load().files] == [Outcome.REFUSED, Outcome.LOADED]
    desk.write("rx/a.csv", HEADER + ROW.replace("H1", "H2"))
    assert [report.outcome for report in desk.load().files] == [Outcome.LOADED, Outcome.KNOWN]
    assert desk.read("rx")["hcp_id"].to_list() == ["H1", "H2"] or desk.read("rx")["hcp_id"].to_list() == ["H2", "H1"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + (HEADER + ROW).encode(),
        (HEADER + ROW).replace("\n", "\r\n"),
        HEADER + ROW.rstrip("\n"),
        HEADER + ROW + "\n\n",
        HEADER + '"H1","alpha","2025-W01","3","1","0","2025-02-01T00:00:00Z"\n',
        HEADER.replace("hcp_id", '"hcp_id"') + ROW,
        HEADER + ROW.replace(",3,1,0,", ",3.0,1.0,0.0,"),
        HEADER + ROW.replace(",3,", ",+3,"),
    ],
    ids=["mark of UTF-8", "CRLF", "no last line end", "blank lines at the end", "quotes", "quoted header", "whole numbers as floats", "plus sign"],
)
def test_odd_but_plain_files_read_the_same(desk, content):
    desk.write("rx/file.csv", content)
    desk.load()
    rows = desk.read("rx").select("hcp_id", "product", "period", "trx", "nrx", "nbrx", "line").rows()
    assert rows == [("H1", "alpha", "2025-W01", 3, 1, 0, 2)]


def test_a_comma_in_quotes_belongs_to_its_cell(desk):
    desk.write("rx/file.csv", HEADER + ROW.replace("alpha", '"alpha, 10 ""mg"""'))
    desk.load()
    assert desk.read("rx")["product"].to_list() == ['alpha, 10 "mg"']


def test_parquet_reads_as_csv_does(desk, new_desk):
    frame = pl.DataFrame(
        {
            "hcp_id": ["H1", "H2"],
            "product": "alpha",
            "period": "2025-W01",
            "trx": [3.0, 4.0],
            "nrx": [1, None],
            "nbrx": [0, 0],
            "received_at": ["2025-02-01", "2025-02-02"],
        }
    ).with_columns(pl.col("received_at").str.to_datetime("%Y-%m-%d", time_zone="America/New_York"))
    path = desk.feeds / "rx" / "file.parquet"
    path.parent.mkdir(parents=True)
    frame.write_parquet(path)
    desk.load()
    other = new_desk()
    other.rx("file.csv", "H1,alpha,2025-W01,3,1,0,2025-02-01T05:00:00Z", "H2,alpha,2025-W01,4,,0,2025-02-02T05:00:00Z")
    other.load()
    assert desk.read("rx").drop("line").equals(other.read("rx").drop("line"))


def test_a_file_in_many_parts_reads_as_one(new_desk, monkeypatch):
    rows = [f"H{number},alpha,2025-W{week:02},{number + week},,,2025-12-01T00:00:00Z" for number in range(40) for week in range(1, 20)]
    whole, cut = new_desk(), new_desk()
    whole.rx("file.csv", *rows, "H1,alpha,2025-W99,1,,,")
    whole.load()
    monkeypatch.setattr(files, "PART_BYTES", 1000)
    cut.rx("file.csv", *rows, "H1,alpha,2025-W99,1,,,")
    report = cut.load().files[0]
    assert (report.rows, report.quarantined) == (760, 1)
    assert cut.read("rx").sort("line").equals(whole.read("rx").sort("line"))
    assert read_quarantine(cut.warehouse)["line"].to_list() == read_quarantine(whole.warehouse)["line"].to_list()
    assert cut.load().files[0].outcome is Outcome.KNOWN
