"""The downloader, against a server on this machine."""

import hashlib
import http.server
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from paramrel.data._downloads import File, download
from paramrel.data._idx import idx_forms
from paramrel.errors import UserError
from tests.test_prepare import FakeIdx, fake, md5, root, write_idx  # noqa: F401

CONTENT = np.random.default_rng(0).integers(0, 256, 3_000_000).astype(np.uint8).tobytes()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves bytes with ranges; may break off, ignore ranges or serve other bytes."""

    def do_GET(self):
        server = self.server
        content = server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and server.ranges else 0
        server.starts.append(start)
        if start >= len(content) > 0 and start:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest[: server.break_after] if server.break_after else rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.files, found.ranges, found.break_after, found.starts = {"/f": CONTENT}, True, 0, []
    found.address = f"http://127.0.0.1:{found.server_port}"
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def a_file(server, digest: str = DIGEST, *more: str) -> File:
    return File("set/f.bin", digest, (*more, f"{server.address}/f"))


def test_a_file_is_fetched_with_a_progress_bar(server, tmp_path, capfd):
    assert download("x", a_file(server), tmp_path).read_bytes() == CONTENT
    assert "f.bin" in capfd.readouterr().err
    assert [p.name for p in (tmp_path / "set").iterdir()] == ["f.bin"]


def test_a_broken_connection_keeps_what_arrived_and_goes_on_from_there(server, tmp_path):
    server.break_after = 1_200_000
    with pytest.raises(UserError, match=r"cannot download set/f.bin \(1,\d+,\d+ bytes are kept: the same command"):
        download("x", a_file(server), tmp_path)
    kept = (tmp_path / "set/f.bin.part").stat().st_size
    assert 0 < kept < len(CONTENT) and not (tmp_path / "set/f.bin").exists()
    server.break_after = 0
    assert download("x", a_file(server), tmp_path).read_bytes() == CONTENT
    assert server.starts == [0, kept]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/f.bin.part").write_bytes(b"other bytes")
    server.ranges = False
    assert download("x", a_file(server), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_all_of_it_is_only_verified(server, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/f.bin.part").write_bytes(CONTENT)
    assert download("x", a_file(server), tmp_path).read_bytes() == CONTENT


def test_other_bytes_are_thrown_away(server, tmp_path):
    with pytest.raises(UserError, match=r"gave other bytes: .* damaged or another file \(SHA-256"):
        download("x", a_file(server, "0" * 64), tmp_path)
    assert list((tmp_path / "set").iterdir()) == []


def test_the_next_address_is_tried(server, tmp_path):
    assert download("x", a_file(server, DIGEST, f"{server.address}/gone"), tmp_path).read_bytes() == CONTENT
    with pytest.raises(UserError, match=r"404 .*: try again, or put the file to .*g.bin by hand"):
        download("x", File("set/g.bin", DIGEST, (f"{server.address}/gone",)), tmp_path)


def test_no_space_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(UserError, match="no space left"):
        download("x", a_file(server), tmp_path)


def test_a_disk_that_fills_up_is_an_error_of_the_disk(server, tmp_path, monkeypatch):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="cannot write .*No space left on device"):
        download("x", a_file(server), tmp_path)


def test_prepare_downloads_verifies_and_converts(server, fake, root, monkeypatch):  # noqa: F811
    paths = write_idx(root)
    server.files = {f"/{path.name}": path.read_bytes() for path in paths}
    forms = idx_forms("Fake", (f"{server.address}/",), tuple(map(md5, paths)), ("0" * 32,) * 4)
    monkeypatch.setattr(FakeIdx, "forms", forms)
    shutil.rmtree(root / "Fake")
    with pytest.raises(UserError, match="download with paramrel data prepare fake, or get the files from"):
        fake.prepare()
    assert fake.prepare(download=True)["counts"] == {"train": 4, "test": 4}
    assert fake.load("test").labels.tolist() == [0, 1, 0, 1] and len(server.starts) == 4
