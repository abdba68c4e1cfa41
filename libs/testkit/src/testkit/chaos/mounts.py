"""File systems of a run's own, mounted where only this process and its children see them.

Nothing is left behind, however the process ends.
"""

import contextlib
import ctypes
import os
import subprocess
from pathlib import Path
from typing import Final

_NEW_MOUNTS: Final = 0x00020000
ROOM: Final = "8g"
"""More than is ever used: only what is in use costs memory."""
_SLACK_KIB: Final = 16


def apart() -> str | None:
    """Give this process mounts of its own; why that cannot be, or None. To be called before any thread is started."""
    if os.geteuid() != 0:
        return "file systems can be mounted by root only"
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS) != 0:
        return f"no mounts of its own here: {os.strerror(ctypes.get_errno())}"
    try:
        _run("mount", "--make-rprivate", "/")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no mounts of its own here: {error}"
    return None


def mount(directory: Path) -> None:
    """Put a file system of its own at a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", str(directory))


def unmount(directory: Path) -> None:
    """Take it away again, and what is on it."""
    with contextlib.suppress(subprocess.CalledProcessError):
        _run("umount", "--lazy", str(directory))


def resize(directory: Path, size: str) -> None:
    """Give it so much room."""
    _run("mount", "-o", f"remount,size={size}", str(directory))


def fill(directory: Path) -> None:
    """Leave room for next to nothing."""
    found = os.statvfs(directory)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
    with contextlib.suppress(subprocess.CalledProcessError):  # more was written meanwhile: at the next look
        resize(directory, f"{used + _SLACK_KIB}k")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
