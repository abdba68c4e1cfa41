"""Runs one command that never outlives the process which asked for it, however that process ends.

Run as a script, with the standard library alone: `python -I -S guard.py SPEC`, SPEC being JSON of `Spec`. Standard
input is the lifeline: the asking process holds its other end, so it closes when that process ends, even by kill -9.
The first line of standard output is the command's process id; the command writes to the guard's standard error.
"""

import contextlib
import ctypes
import json
import os
import pwd
import shutil
import signal
import sys
import threading
import time
from typing import NoReturn, TypedDict

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


class Spec(TypedDict):
    """What to run and how it ends.

    `unprivileged` is None, or the directory that the command owns when it may not run as root. `remove` is a directory
    that is deleted when the asking process has died without ending the command itself.
    """

    command: list[str]
    stop: int
    grace: float
    unprivileged: str | None
    remove: str | None


def main(argument: str) -> NoReturn:
    spec: Spec = json.loads(argument)
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        _become(spec, guard)
    os.write(1, b"%d\n" % child)
    ended = threading.Event()
    orphaned = threading.Event()
    threading.Thread(target=_watch, args=(child, spec, ended, orphaned), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: _send(child, received, ended))
    _, status = os.waitpid(child, 0)
    ended.set()
    if orphaned.is_set() and spec["remove"]:
        remove(spec["remove"], within=spec["grace"])
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _watch(child: int, spec: Spec, ended: threading.Event, orphaned: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    orphaned.set()
    _send(child, spec["stop"], ended)
    if not ended.wait(spec["grace"]):
        _send(child, signal.SIGKILL, ended)


def _send(child: int, number: int, ended: threading.Event) -> None:
    if not ended.is_set():
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)


def remove(directory: str, *, within: float) -> None:
    """Delete a directory for good: what still writes to it as it ends is outlasted, for `within` seconds at most."""
    deadline = time.monotonic() + within
    while os.path.exists(directory) and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.05)


def _become(spec: Spec, guard: int) -> NoReturn:
    """Turn this fork into the command."""
    try:
        os.close(0)
        os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
        os.dup2(2, 1)
        if spec["unprivileged"] is not None and os.geteuid() == 0:
            drop_root(spec["unprivileged"])
        die_with_parent(guard)
        os.execv(spec["command"][0], spec["command"])
    except (OSError, KeyError) as wrong:
        os.write(2, f"{spec['command'][0]}: {wrong}\n".encode())
        os._exit(127)


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when its parent, the guard, is gone. Must follow every change of identity."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(127)


def drop_root(owned: str) -> None:
    """Stop being root: in a user namespace of its own where the system allows one, else as the user `nobody`.

    In a namespace the files stay root's own, so a directory below a closed home directory can be used all the same.
    """
    nobody = pwd.getpwnam("nobody")
    if _namespaces_work(nobody):
        _enter_namespace(nobody)
        return
    for path in (owned, *(entry.path for entry in os.scandir(owned))):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def _namespaces_work(identity: pwd.struct_passwd) -> bool:
    """Try it in a fork: half an attempt cannot be taken back."""
    attempt = os.fork()
    if attempt == 0:
        try:
            _enter_namespace(identity)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(attempt, 0)[1] == 0


def _enter_namespace(identity: pwd.struct_passwd) -> None:
    if ctypes.CDLL(None).unshare(CLONE_NEWUSER) != 0:
        raise OSError("no user namespace to be had")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{identity.pw_uid} 0 1"),
        ("gid_map", f"{identity.pw_gid} 0 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


if __name__ == "__main__":
    main(sys.argv[1])
