"""Files of data sets: where they lie below ``$PARAMREL_DATA``, their checksums, and how to download them.

No library that is here resumes a download, so these are a few lines around ``requests``.
"""

import hashlib
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from paramrel.errors import UserError
from paramrel.progress import progress

BLOCK = 1 << 20
SETTLED_NS = 2_000_000_000
"""Age in ns from which the times of a file tell its contents apart: file systems count in ticks."""
TIMEOUT_SEC = 30


@dataclass(frozen=True)
class File:
    """A file that a data set is made from."""

    path: str
    """Below ``$PARAMREL_DATA``."""
    digest: str | None = None
    """Hexadecimal MD5 (32 digits, as torchvision gives it) or SHA-256 (64). None: nobody publishes one."""
    urls: tuple[str, ...] = ()
    """Tried in turn. Empty: it has to be fetched by hand."""


@dataclass(frozen=True)
class Form:
    """One way in which a data set's files may lie. All of them are needed."""

    name: str
    files: tuple[File, ...]

    @property
    def official(self) -> bool:
        """True if a checksum is known of every file, so that all such forms hold the same."""
        return bool(self.files) and all(file.digest for file in self.files)


def digest_of(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file, read in blocks."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


_sums: dict[Path, tuple[tuple[int, ...], str]] = {}
"""SHA-256 of files that were read, beside size, times and inode at that moment."""


def content_sum(path: Path) -> str:
    """SHA-256 of a file; read once, and again whenever its size, times or inode have changed."""
    stat = path.stat()
    now = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    known = _sums.get(path)
    if known and known[0] == now:
        return known[1]
    found = digest_of(path, "sha256")
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_NS:
        _sums[path] = (now, found)
    return found


def key_of(paths: Iterable[Path], root: Path) -> str:
    """8 digits that stand for names, sizes and contents of files below ``root``."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(root)} {path.stat().st_size} {content_sum(path)}\n".encode())
    return digest.hexdigest()[:8]


def verify(name: str, path: Path, digest: str | None) -> str:
    """SHA-256 of a file after its ``digest`` was checked. Raises ``UserError`` that names the file and both digests."""
    if digest is not None:
        algorithm = "md5" if len(digest) == 32 else "sha256"
        found = digest_of(path, algorithm)
        if found != digest:
            label = "MD5" if algorithm == "md5" else "SHA-256"
            raise UserError(
                f"{name}: {path} is damaged or another file ({label} {found}, expected {digest}, "
                f"{path.stat().st_size:,} bytes): replace it with the official file"
            )
        if algorithm == "sha256":
            return found
    return digest_of(path, "sha256")


def download(name: str, file: File, root: Path) -> Path:
    """Fetch ``file`` to its place below ``root``: resumable, with a progress bar, there only if its digest is right.

    What has arrived is kept beside it as ``<name>.part``; the same call goes on from there. Raises ``UserError`` if
    no address answers, the connection breaks, the disk is full or the digest is wrong (the part is then removed).
    """
    target = root / file.path
    part = target.with_name(target.name + ".part")
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in file.urls:
        try:
            _fetch(url, part)
        except requests.RequestException as error:
            reasons.append(f"{url}: {_reason(error)}")
            continue
        try:
            verify(name, part, file.digest)
        except UserError as error:
            part.unlink()
            reasons.append(f"{url} gave other bytes: {error}")
            continue
        with _writing(target):
            part.replace(target)
        return target
    kept = f" ({part.stat().st_size:,} bytes are kept: the same command goes on from there)" if part.exists() else ""
    raise UserError(
        f"{name}: cannot download {file.path}{kept}: {'; '.join(reasons)}: try again, or put the file to {target} by "
        f"hand"
    )


def _reason(error: requests.RequestException) -> str:
    """What went wrong, without the layers around it."""
    inner = error.args[0] if error.args else error
    if isinstance(inner, str):
        return inner
    return type(getattr(inner, "reason", inner)).__name__


def _fetch(url: str, part: Path) -> None:
    """Append what is missing of ``url`` to ``part``."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SEC) as response:
        if response.status_code == 416:  # all of it is here already
            return
        response.raise_for_status()
        if response.status_code != 206:  # the server starts again from the first byte
            have = 0
        rest = int(response.headers.get("Content-Length", 0))
        with _writing(part):
            check_space(part.parent, rest)
            bar = progress(what=part.stem, unit="B", total=have + rest or None, first=have, scale=True)
            with bar, part.open("ab" if have else "wb") as file:
                for block in response.iter_content(BLOCK):
                    file.write(block)
                    bar.update(len(block))
        if rest and part.stat().st_size < have + rest:
            raise requests.ConnectionError(f"the connection ended {have + rest - part.stat().st_size:,} bytes early")


def check_space(folder: Path, n_bytes: int) -> None:
    """Raises ``UserError`` unless ``n_bytes`` fit on the disk of ``folder``."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise UserError(
            f"no space left: {folder} has {free / 1e9:.2f} GB free and {n_bytes / 1e9:.2f} GB are needed: "
            "free some, or choose another folder with PARAMREL_DATA (files) or PARAMREL_CACHE (prepared arrays)"
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """An ``OSError`` of the disk as a ``UserError``; those of the network (also ``OSError``) pass."""
    try:
        yield
    except requests.RequestException:
        raise
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}: make {path.parent} a writable folder with free space, "
            "or choose another with PARAMREL_DATA"
        ) from error
