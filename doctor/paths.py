"""Where sdoctor keeps its state. ``SDOCTOR_HOME`` moves all of it into one folder."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

APP = "sdoctor"


def data_dir() -> Path:
    """Profiles and journals: what must survive. Not created here."""
    home = os.environ.get("SDOCTOR_HOME")
    if home:
        return Path(home) / "data"
    # platformdirs costs a few milliseconds that `sdoctor --help` need not pay.
    import platformdirs

    return Path(platformdirs.user_data_dir(APP, appauthor=False))


def state_dir() -> Path:
    """Logs and prompt history: useful, not precious. Not created here."""
    home = os.environ.get("SDOCTOR_HOME")
    if home:
        return Path(home) / "state"
    import platformdirs

    return Path(platformdirs.user_state_dir(APP, appauthor=False))


def cache_dir() -> Path:
    """What can be made again: deleting it costs time only. Not created here."""
    home = os.environ.get("SDOCTOR_HOME")
    if home:
        return Path(home) / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir(APP, appauthor=False))


def config_dir() -> Path:
    """What the user writes by hand. Not created here."""
    home = os.environ.get("SDOCTOR_HOME")
    if home:
        return Path(home) / "config"
    import platformdirs

    return Path(platformdirs.user_config_dir(APP, appauthor=False))


def runtime_dir() -> Path:
    """The daemon's socket and lock: gone after a restart of the machine. Made here, for the user alone (0700).

    ``XDG_RUNTIME_DIR`` is /run/user/UID; a program that was started without it (cron, su) finds that folder all the
    same. Never a folder under /tmp, where anybody can be first. Raises OSError.
    """
    path = _runtime_dir()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        found = path.stat()
        if found.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, f"{path} belongs to another user")
        if found.st_mode & 0o077:
            path.chmod(0o700)
    return path


def _runtime_dir() -> Path:
    home = os.environ.get("SDOCTOR_HOME")
    if home:
        return Path(home) / "run"
    named = os.environ.get("XDG_RUNTIME_DIR")
    if named:
        return Path(named) / APP
    if hasattr(os, "getuid"):
        usual = Path(f"/run/user/{os.getuid()}")
        if usual.is_dir() and usual.stat().st_uid == os.getuid():
            return usual / APP
    return state_dir() / "run"


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write ``content`` so that ``path`` is always the old file or the whole new one.

    Creates the parent folder. ``private``: only the user may read the file (0600).
    Raises OSError if the disk refuses; the old file is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are private; the finished one gets the rights that any new file of the user gets.
        if not private:
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask. It can only be read by setting it, so it is set to the strictest for that moment."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def nearest_existing(path: Path) -> Path:
    """``path`` or the closest folder above it that exists: a cache that was never used is not there yet."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), Path(path.anchor))
