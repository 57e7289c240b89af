"""The one way to fetch a file from the web: resumed, checked, bounded in bytes and seconds, once for all processes."""

from __future__ import annotations

import hashlib
import io
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

import requests
from filelock import Timeout
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError

from .errors import LessonError, reason_of
from .paths import cache_dir, hold

CHUNK = 1 << 16  # bytes read at a time; a broken connection loses less than that
TIMEOUT = 30.0  # seconds to wait for a connection, and for the next bytes
MOST_REDIRECTS = 5


class DownloadError(LessonError):
    """A file that cannot be downloaded or kept. Whoever asked for it may add to the message what else can be done."""


class _Refused(Exception):
    """What a server offers is not taken; the message says why."""


# What the network raises; requests' errors are OSErrors, so these come before those of the disk.
_NETWORK = (requests.RequestException, HTTPError, ValueError, _Refused)


def cached(*parts: str) -> Path:
    """A place in the cache. Raises DownloadError for a name that would leave it, such as "../x"."""
    place, cache = cache_dir().joinpath(*parts), os.path.normpath(cache_dir())
    if Path(cache) not in Path(os.path.normpath(place)).parents:
        raise DownloadError(f"{'/'.join(parts)!r} would be kept outside the cache {cache}: give it a plain name")
    return place


def read(url: str, *, most: int, seconds: float) -> bytes:
    """What is behind an http(s) address: at most so many bytes in so many seconds. Raises DownloadError."""
    data = io.BytesIO()
    try:
        _receive(url, data, most, time.monotonic() + seconds)
    except (*_NETWORK, OSError) as error:  # without a disk every OSError is the network's
        raise DownloadError(f"cannot download {url} ({_reason(error)}): check the address") from None
    return data.getvalue()


def download(url: str, path: Path, *, sha256: str, most: int, seconds: float = math.inf) -> Path:
    """Make sure that `path` is the file at an http(s) address, and return it. Raises DownloadError.

    `sha256` is the file's digest or the start of it. A file that is there and intact is not asked for again. What
    arrives is kept in `path`.part, from which the next attempt goes on. `most` bounds the bytes, `seconds` the time
    spent with the server; one that says nothing for TIMEOUT is given up in any case.
    """
    try:
        if is_intact(path, sha256):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path):
            if not is_intact(path, sha256):  # or another process has fetched it while we waited
                _fetch(url, path, sha256, most, time.monotonic() + seconds)
    except OSError as error:
        advice = "make room, or name another place in NST_LESSON_CACHE"
        raise DownloadError(f"cannot keep {path} ({reason_of(error)}): {advice}") from None
    return path


def is_intact(path: Path, sha256: str) -> bool:
    """Whether `path` is a file whose sha256 begins like this. Raises OSError where it cannot be read."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, whose folder exists: a second process waits, and says so. Raises OSError."""
    lock = path.with_name(f".{path.name}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(lock, timeout=1))
        except Timeout:
            print(f"{path.name}: waiting for another process that is fetching it", file=sys.stderr)
            stack.enter_context(hold(lock, timeout=-1))
        yield


def _fetch(url: str, path: Path, sha256: str, most: int, end: float) -> None:
    """Fetch `path`, going on from what an earlier attempt left."""
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists()
    try:
        with part.open("a+b") as file:
            _complete(url, file, most, end, path.name)
    except _NETWORK as error:
        advice = "try again, what arrived is kept"
        if not part.stat().st_size:
            part.unlink()
            advice = "check the connection and try again"
        raise DownloadError(f"cannot download {url} ({_reason(error)}): {advice}") from None
    if is_intact(part, sha256):
        os.replace(part, path)
        return
    part.unlink()
    if resumed:  # what was there came from another version of the file
        return _fetch(url, path, sha256, most, end)
    reason = "what arrives has the wrong sha256; a login page or proxy in between?"
    raise DownloadError(f"cannot download {url} ({reason}): try again")


def _complete(url: str, file: BinaryIO, most: int, end: float, name: str) -> None:
    """Append to `file` until the server has no more; a broken connection is resumed as long as it makes progress."""
    while True:
        before = file.tell()
        try:
            return _receive(url, file, most, end, name)
        except (requests.RequestException, HTTPError):
            if file.tell() <= before:
                raise


def _receive(url: str, file: BinaryIO, most: int, end: float, name: str = "") -> None:
    """Append to `file` what it lacks; a server that sends all of it again starts it over. With a name: show progress.

    Raises what is in _NETWORK, and OSError where `file` cannot be written.
    """
    with _answer(url, file.tell(), end) as response:
        if file.tell() and response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # there is no more; the hash tells whether what we have is right
        if response.status_code == requests.codes.ok:
            file.seek(0)
            file.truncate()
        elif response.status_code != requests.codes.partial_content:
            raise requests.HTTPError(response=response)
        have, length = file.tell(), response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        _check_size(total or 0, most, file)
        with tqdm(
            desc=name, initial=have, total=total, unit="B", unit_scale=True, mininterval=1, disable=not name
        ) as bar:
            while chunk := response.raw.read1(CHUNK):  # returns what has arrived, so that the clock is seen
                _check_size(file.tell() + len(chunk), most, file)
                if time.monotonic() > end:
                    raise _Refused("not finished in time")
                bar.update(file.write(chunk))


def _check_size(size: int, most: int, file: BinaryIO) -> None:
    if size > most:
        file.truncate(0)  # it is another file: nothing to resume
        raise _Refused(f"larger than {most / 1e6:,.10g} MB")


class _Session(requests.Session):
    """Follows no redirect: requests would read the body of each, however long it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@contextmanager
def _answer(url: str, start: int, end: float) -> Iterator[requests.Response]:
    """The answer to a request for what is behind `url` from byte `start` on, after at most MOST_REDIRECTS."""
    headers = {"User-Agent": "nst-lesson", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _Session() as session:
        for _ in range(MOST_REDIRECTS + 1):
            if not url.lower().startswith(("http://", "https://")):
                raise _Refused(f"it leads to {url.partition(':')[0]}, not to http or https")
            if (left := end - time.monotonic()) <= 0:
                raise _Refused("not finished in time")
            with session.get(url, headers=headers, stream=True, timeout=min(TIMEOUT, left)) as response:
                if not response.is_redirect:
                    yield response
                    return
                url = urljoin(url, response.headers["Location"])
        raise _Refused(f"more than {MOST_REDIRECTS} redirects")


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words instead of the pages of the network libraries."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, (requests.Timeout, ReadTimeoutError)):
        return "no answer in time"
    return "not a valid address" if isinstance(error, ValueError) else "no connection, or it broke"
