"""Files behind URLs come whole, checked and once, from a server on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet import fetch as module
from supernet.errors import DataError, FileFormatError, StorageError, SupernetError
from supernet.fetch import fetch, is_url

CONTENT = bytes(range(256)) * 4000  # four blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the first part of the path says; ``/plain/<any name>`` is CONTENT."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        kind = self.path.split("/")[1].partition("?")[0]
        if kind in ("redirect", "loop", "away"):
            to = {"redirect": "/plain/to", "loop": "/loop", "away": "file:///etc/hostname"}[kind]
            self.send_response(302)
            self.send_header("Location", to)
            self.end_headers()
            return
        self.send_response(404 if kind == "missing" else 200)
        length = {"unannounced": None, "short": len(CONTENT) + 5, "odd": "many", "empty": 0}
        announced = length.get(kind, len(CONTENT))
        if announced is not None:
            self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(b"" if kind == "empty" else CONTENT)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what some tests are about."""


@pytest.fixture
def asked() -> list[str]:
    """What the server was asked for."""
    return []


@pytest.fixture
def server(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    with Server(("127.0.0.1", 0), type("Own", (Handler,), {"asked": asked})) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def kept(home: Path) -> list[Path]:
    """All files of this user's folder."""
    return [path for path in home.rglob("*") if path.is_file()]


def refused(source: str, text: str, kind: type[SupernetError] = DataError) -> None:
    with pytest.raises(kind, match=text) as caught:
        fetch(source)
    assert str(caught.value).isprintable()


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"a")
    assert fetch(str(tmp_path / "a.pth")) == tmp_path / "a.pth"
    assert fetch(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    "source", ["nowhere.pth", "a\0b", "a\nb", "n" * 5000, "/dev/zero", "ftp://here/a", "C:\\a"]
)
def test_what_is_no_file_is_named(source: str) -> None:
    refused(source, "no such file|File name too long")


def test_a_url_is_downloaded_once(server: str, home: Path, asked: list[str]) -> None:
    steps: list[tuple[int, int, str]] = []
    path = fetch(f"{server}/plain/a.pth", lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENT
    assert (path.name, kept(home)) == ("a.pth", [path])
    assert steps[-1] == (1024, 1024, "downloading a.pth, kB")
    assert len(steps) >= 4
    assert fetch(f"{server}/plain/a.pth") == path
    assert asked == ["/plain/a.pth"]


def test_files_of_one_name_are_kept_apart(server: str, home: Path) -> None:
    paths = {fetch(f"{server}/{kind}/net.config") for kind in ("plain", "unannounced", "empty")}
    assert [path.name for path in paths] == ["net.config"] * 3
    assert sorted(path.stat().st_size for path in paths) == [0, len(CONTENT), len(CONTENT)]


def test_a_length_need_not_be_announced_and_a_redirect_is_followed(server: str, home: Path) -> None:
    assert fetch(f"{server}/unannounced/a").read_bytes() == CONTENT
    assert fetch(f"{server}/redirect/a").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("short/a", f"{len(CONTENT)} of {len(CONTENT) + 5} bytes came"),
        ("missing/a", "cannot be downloaded: Not Found"),
        ("odd/a", "cannot be downloaded: invalid literal for int"),
        ("loop", "cannot be downloaded: .*infinite loop"),
        ("away", "cannot be downloaded: .*[Rr]edirect"),
        ("plain/a b", "not a URL: it holds blanks"),
        ("plain/\x7f\n", "not a URL: it holds blanks or control"),
    ],
)
def test_what_does_not_come_whole_is_not_kept(
    server: str, home: Path, path: str, text: str
) -> None:
    refused(f"{server}/{path}", text)
    assert not kept(home)


@pytest.mark.parametrize(
    "source", ["http://", "http://[", "http://127.0.0.1:no/a", "http:///a", "file:///nowhere/a"]
)
def test_what_is_no_url_is_refused(home: Path, source: str) -> None:
    refused(source, "not a URL|cannot be downloaded")
    assert not kept(home)


def test_a_server_that_is_not_there_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    refused("http://127.0.0.1:1/a", "cannot be downloaded: .*refused")


def test_more_than_the_limit_is_not_kept(
    server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    refused(f"{server}/unannounced/a", "larger than")
    assert not kept(home)


@pytest.mark.parametrize("digits", [8, 64])
def test_a_checksum_may_end_the_url(server: str, home: Path, digits: int) -> None:
    assert fetch(f"{server}/plain/a#sha256={SHA256[:digits].upper()}").read_bytes() == CONTENT


@pytest.mark.parametrize("end", ["a#sha256=" + "0" * 64, "a#sha256=00000000", "a-00000000.pth"])
def test_another_checksum_is_refused(server: str, home: Path, end: str) -> None:
    refused(f"{server}/plain/{end}", f"its sha256 is {SHA256}, expected 0+\\b", FileFormatError)
    assert not kept(home)


@pytest.mark.parametrize("fragment", ["sha256=", "sha256=xyz", "md5=" + "0" * 32, "L12", "\x1b"])
def test_a_fragment_that_is_no_checksum_is_refused(server: str, home: Path, fragment: str) -> None:
    refused(f"{server}/plain/a#{fragment}", "expected #sha256= and 8 to 64 hex", FileFormatError)


def test_a_file_name_may_hold_the_checksum(server: str, home: Path) -> None:
    """As in torch.hub; a date is none."""
    fetch(f"{server}/plain/net-{SHA256[:8]}.pth")
    refused(f"{server}/plain/net-{SHA256[:7]}0.pth", "expected", FileFormatError)
    fetch(f"{server}/plain/net-20240517.pth")


def test_a_kept_file_is_checked_again(server: str, home: Path, asked: list[str]) -> None:
    path = fetch(f"{server}/plain/a")
    path.write_bytes(b"changed")
    assert fetch(f"{server}/plain/a#sha256={SHA256}").read_bytes() == CONTENT
    assert len(asked) == 2


def test_published_files_are_known_by_their_checksums(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setattr(module, "PUBLISHED", f"{server}/plain/")
    refused(f"{server}/plain/ofa/acc_predictor.pth", "expected 48685122", FileFormatError)
    fetch(f"{server}/plain/ofa/another.pth")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("any")])
def test_what_is_interrupted_leaves_nothing(server: str, home: Path, error: BaseException) -> None:
    def stop(done: int, total: int, text: str) -> None:
        if done > 300:
            raise error

    with pytest.raises(type(error)):
        fetch(f"{server}/plain/a", stop)
    assert not kept(home)
    assert fetch(f"{server}/plain/a").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_no_fault_of_the_disk(
    server: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> bytes:
        raise OSError("record layer failure")

    monkeypatch.setattr("http.client.HTTPResponse.read", broken)
    refused(f"{server}/plain/a", "cannot be downloaded: record layer failure")


def test_a_disk_that_refuses_is_named(server: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SUPERNET_HOME", str(tmp_path / "file"))
    refused(f"{server}/plain/a", "cannot write", StorageError)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("../../../etc/passwd", "passwd"),
        ("%2e%2e%2f%2e%2e%2fhome", "home"),
        ("..", "file"),
        ("%2e%2e", "file"),
        (".bashrc", "bashrc"),
        ("a%00b%0ac", "a_b_c"),
        ("a?b=../c", "a"),
        ("n" * 3000 + ".yaml", "n" * 75 + ".yaml"),
        ("%F0%9F%90%8D", "_"),
        ("ä", "_"),
    ],
)
def test_no_name_leads_out_of_the_cache(server: str, home: Path, path: str, name: str) -> None:
    found = fetch(f"{server}/plain/{path}")
    assert found.name == name
    assert found.parent.parent == home / "downloads"
    assert kept(home) == [found]


def test_a_file_url_is_a_copy(tmp_path: Path, home: Path) -> None:
    (tmp_path / "a.yaml").write_text("x")
    assert fetch((tmp_path / "a.yaml").as_uri()).read_text() == "x"
    refused(tmp_path.as_uri(), "cannot be downloaded: .*[Dd]irectory")


@given(source=st.text(max_size=40) | st.builds("file://{}".format, st.text(max_size=30)))
def test_anything_is_a_file_or_refused_in_one_line(
    source: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERNET_HOME", str(folder))
        patch.chdir(folder)
        try:
            found = fetch(source)
        except (DataError, FileFormatError) as error:
            message = str(error)
        else:
            message = str(found.exists())
    assert message.isprintable()


def test_only_three_schemes_are_urls() -> None:
    assert all(map(is_url, ("http://a", "HTTPS://a", "file:///a")))
    assert not any(map(is_url, ("ftp://a", "a.pth", "http:a", "data:,a", "s3://a", "C://a")))
