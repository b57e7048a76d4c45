"""What a file is, by its content; and the names that files may have."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from cloud_service.media.documents import HEAD_BYTES, NotADocument, check_head, document_type
from cloud_service.media.names import InvalidName, cleaned, content_disposition, with_ending
from tests.documents import GOOD, PDF, hostile

HOSTILE = hostile()


@pytest.mark.parametrize("name", GOOD)
def test_a_document_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    content, media_type = GOOD[name]
    (tmp_path / "file").write_bytes(content)
    check_head(content[:HEAD_BYTES])
    assert document_type(tmp_path / "file") == media_type


@pytest.mark.parametrize("name", HOSTILE)
def test_anything_else_is_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(HOSTILE[name])
    with pytest.raises(NotADocument) as refusal:
        document_type(tmp_path / "file")
    assert refusal.value.detail
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "name",
    ["docm", "docm-that-says-docx", "docm-by-a-content-type", "xlsm-of-old-macros", "active-x", "odt-with-macros"],
)
def test_macros_are_named_as_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(HOSTILE[name])
    with pytest.raises(NotADocument, match="macros"):
        document_type(tmp_path / "file")


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    for name in ("bomb-as-content-types", "bomb-that-lies", "bomb-beside-it", "too-many-entries", "billion-laughs"):
        (tmp_path / "file").write_bytes(HOSTILE[name])
        tracemalloc.start()
        with pytest.raises(NotADocument):
            document_type(tmp_path / "file")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 5 * 2**20, name


@pytest.mark.parametrize("kept", [0, 1, 3, 10, 100, 300])
def test_every_document_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    for content, _ in GOOD.values():
        if kept < len(content) - 10:
            (tmp_path / "file").write_bytes(content[:kept])
            with pytest.raises(NotADocument):
                document_type(tmp_path / "file")


@pytest.mark.parametrize("name", ["docx", "docx-with-a-64-bit-end", "odt"])
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(tmp_path: Path, name: str) -> None:
    """One byte after the other."""
    content = GOOD[name][0]
    for place in range(len(content)):
        (tmp_path / "file").write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        with suppress(NotADocument):
            document_type(tmp_path / "file")


def test_a_pdf_may_have_a_little_behind_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PDF + b"\0" * 1000)
    assert document_type(tmp_path / "file") == "application/pdf"


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("notes.pdf", "notes.pdf"),
        ("الدرس الأول.pdf", "الدرس الأول.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\fakepath\\a.pdf", "C__fakepath_a.pdf"),
        ('a";x="b.pdf', "a__x=_b.pdf"),
        ("100%41.pdf", "100_41.pdf"),
        ("  .hidden. ", "hidden"),
        ("cafe\u0301.pdf", "caf\u00e9.pdf"),
        ("می\u200cخواهم.pdf", "می\u200cخواهم.pdf"),
        ("a" * 200, "a" * 200),
    ],
)
def test_a_name_is_kept_without_what_no_system_saves(given: str, kept: str) -> None:
    assert cleaned(given) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "...",
        "/",
        "a\r\nX-Evil: 1",
        "a\0.pdf",
        "a\tb",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "fdp.\u202eexe",
        "a\u2066b",
        "a\ud800",
        "a" * 201,
        "ع" * 5000,
    ],
)
def test_a_name_that_could_deceive_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        cleaned(name)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("notes.pdf", "notes.pdf"),
        ("NOTES.PDF", "NOTES.PDF"),
        ("notes", "notes.pdf"),
        ("notes.hta", "notes.hta.pdf"),
        ("notes.pdf.exe", "notes.pdf.exe.pdf"),
        ("a" * 200, "a" * 196 + ".pdf"),
    ],
)
def test_a_name_ends_as_what_the_file_is(name: str, kept: str) -> None:
    assert with_ending(name, "application/pdf") == kept


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("notes 1.pdf", "attachment; filename=\"notes 1.pdf\"; filename*=UTF-8''notes%201.pdf"),
        ("عود.pdf", "attachment; filename=\"file.pdf\"; filename*=UTF-8''%D8%B9%D9%88%D8%AF.pdf"),
        ("café.pdf", "attachment; filename=\"cafe.pdf\"; filename*=UTF-8''caf%C3%A9.pdf"),
        ("a'(b)*.pdf", "attachment; filename=\"a'(b)_.pdf\"; filename*=UTF-8''a%27%28b%29%2A.pdf"),
    ],
)
def test_a_name_is_sent_as_every_client_reads_it(name: str, header: str) -> None:
    assert content_disposition(name) == header
    assert header.isascii()
