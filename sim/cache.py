"""Content-keyed store of build products, safe between processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE_ROOT = Path(__file__).resolve().parent.parent
"""Folder that holds the packages `sim`, `hw`, `golden`, ..."""


def cache_root() -> Path:
    """Return the folder of built simulators: ``$RTLOOM_CACHE``, else ``build/sim``."""
    chosen = os.environ.get("RTLOOM_CACHE")
    if chosen:
        return Path(chosen).resolve()
    in_checkout = (SOURCE_ROOT / "pyproject.toml").exists() or (SOURCE_ROOT / ".git").exists()
    return (SOURCE_ROOT if in_checkout else Path.cwd()) / "build" / "sim"


def content_key(parts: Iterable[str | bytes]) -> str:
    """Return a hash (24 hexadecimal digits) of a sequence of texts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:24]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(key: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """Return the folder of `key`, built when it is not there yet.

    Parameters
    ----------
    key
        Names the folder, below `cache_root`.
    build
        Fills the empty folder it is given. When it raises, nothing is kept.

    Returns
    -------
    folder, hit
        `hit` tells that the folder was already there. A folder appears under its final name only
        when complete; of several processes that want the same key one builds and the others wait.
    """
    root = cache_root()
    folder = root / key
    if folder.is_dir():
        return folder, True
    with _locked(root / "locks" / key):
        if folder.is_dir():
            return folder, True
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=root))
        try:
            build(partial)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder, False
