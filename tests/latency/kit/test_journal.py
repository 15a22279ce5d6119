"""Whatever ends a run, whole lines stay."""

from pathlib import Path
from typing import Any

import pytest

from supernet.errors import FileFormatError, StorageError
from supernet.latency.kit.journal import VERSION, Journal, OtherRunError, read_journal
from supernet.latency.kit.protocol import Visit

HEADER: dict[str, Any] = {"plan": "abc", "settings": {"threads": 1}}
VISITS = [Visit(0.5, 0.1, 0.04), Visit(0.51, 0.12, 0.05)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.part"
    journal = Journal(path, HEADER)
    for visit in VISITS:
        journal.visit("o1", visit)
    journal.event("the machine slowed down")
    journal.visit("n2", VISITS[0])
    journal.close()
    return path


def test_what_was_written_comes_back(path: Path) -> None:
    found = read_journal(path)
    assert found.visits == {"o1": VISITS, "n2": VISITS[:1]}
    assert found.events == ["the machine slowed down"]
    assert found.header.items() >= HEADER.items()
    assert (found.dropped, found.size) == (0, path.stat().st_size)


def test_cut_off_anywhere_it_keeps_the_whole_lines_before(path: Path) -> None:
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for end in range(first, len(content) + 1):
        path.write_bytes(content[:end])
        found = read_journal(path)
        assert found.size == content.rindex(b"\n", 0, end) + 1
        assert found.size + found.dropped == end


def test_a_run_that_ended_within_the_first_line_is_begun_anew(path: Path) -> None:
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for left in (b"", content[:1], content[: first - 1], content[:first], bytes(4096)):
        path.write_bytes(left)
        journal = Journal(path, HEADER)
        journal.visit("o1", VISITS[0])
        journal.close()
        assert read_journal(path).visits == {"o1": VISITS[:1]}
    path.write_bytes(b'{"another')
    with pytest.raises(FileFormatError, match="not the journal of a kit"):
        Journal(path, HEADER)


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no\.part: cannot be read: No such file"):
        read_journal(tmp_path / "no.part")
    with pytest.raises(FileFormatError, match="cannot be read: Is a directory"):
        Journal(tmp_path, HEADER)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
def test_a_disk_that_is_full_is_named_also_at_the_end(path: Path) -> None:
    journal = Journal(path, HEADER)
    journal.close()
    with Path("/dev/full").open("wb") as full:
        journal._file = full
        with pytest.raises(StorageError, match=r"cannot write .*a\.part: No space left"):
            journal.visit("o1", VISITS[0])
        with pytest.raises(StorageError, match=r"cannot write .*a\.part"):
            journal.close()
    journal.close()


@pytest.mark.parametrize(
    "line",
    [
        b'["o1", 0.5]',
        b'["o1", 0.5, -1, 0.5]',
        b'["o1", 0.5, NaN, 0.5]',
        b'["o1", 0.5, Infinity, 0.5]',
        b'["o1", 0.5, true, 0.5]',
        b"[1, 0.5, 1, 0.5]",
        b"\x00\xff",
        b"{}",
        b"[" * 10000,
    ],
)
def test_a_damaged_line_and_what_follows_is_dropped(path: Path, line: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + line + b'\n["o1", 0.5, 0.5, 0.5]\n')
    assert read_journal(path).size == len(whole)
    journal = Journal(path, HEADER)
    journal.visit("o9", VISITS[0])
    journal.close()
    assert set(read_journal(path).visits) == {"o1", "n2", "o9"}


def test_another_run_is_not_continued(path: Path) -> None:
    with pytest.raises(OtherRunError, match="was begun with plan 'abc', now it is 'xyz'") as caught:
        Journal(path, HEADER | {"plan": "xyz"})
    assert "--fresh" in caught.value.hint
    Journal(path, HEADER | {"plan": "xyz"}, fresh=True).close()
    assert read_journal(path).visits == {}


def test_a_journal_of_another_version_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace(f'"version": {VERSION}', '"version": 9'))
    with pytest.raises(FileFormatError, match="version 9 of a journal"):
        Journal(path, HEADER)
