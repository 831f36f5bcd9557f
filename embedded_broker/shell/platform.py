"""Operating system calls of the shell, each with a portable fallback.

Chosen once at the start. ``KAFKARIUM_PLAIN_PLATFORM=1`` in the environment chooses the fallbacks
everywhere, which is how the tests run them on Linux.

=============  =================================  ==============================================
purpose        Linux                              fallback
=============  =================================  ==============================================
readiness      select.epoll                       selectors.DefaultSelector (select on Windows)
file to socket os.sendfile                        read and send
new process    fork from a pre-imported zygote    a new interpreter
flush          os.fdatasync                       os.fsync
freeze         SIGSTOP, SIGCONT                   psutil's suspend and resume
parent death   prctl(PR_SET_PDEATHSIG) and a pipe a pipe
one owner      flock                              msvcrt.locking, else a file made exclusively
same boot      /proc's boot_id                    unknown: every kill counts as unclean
=============  =================================  ==============================================
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from kafka_protocol.fields import Buffer

PLAIN = os.environ.get("KAFKARIUM_PLAIN_PLATFORM", "") == "1"
LINUX = sys.platform.startswith("linux") and not PLAIN

sendfile: Callable[[int, int, int, int], int] | None = (
    None if PLAIN else getattr(os, "sendfile", None)
)
fdatasync: Callable[[int], None] = os.fsync if PLAIN else getattr(os, "fdatasync", os.fsync)
can_fork = hasattr(os, "fork") and LINUX
can_epoll = LINUX
O_BINARY: int = getattr(os, "O_BINARY", 0)


class InUse(Exception):
    """Another process holds the lock."""


def boot_id() -> str:
    """Return the id of this boot of the machine, or an empty string when there is none.

    While it stays the same, what a killed process wrote is still in the page cache.
    """
    if LINUX:
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
    return ""


def lock_file(path: Path) -> int:
    """Lock ``path`` for this process until the returned descriptor is closed or the process ends.

    Raises:
        InUse: another process holds it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | O_BINARY | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(fd)
        raise InUse(str(path)) from e
    return fd


def sync_directory(path: Path) -> None:
    """Flush the directory itself, so that a rename in it survives a power cut; does nothing on
    Windows, where directories cannot be opened.

    Raises:
        OSError: the disk failed, or no file descriptor is left.
    """
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(fd)
    except OSError as e:
        # Some file systems refuse to flush directories, which then need no flush.
        if e.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Flush a file that another part of the program has written, if it exists.

    Raises:
        OSError: the disk failed, or no file descriptor is left.
    """
    try:
        fd = os.open(path, os.O_RDWR | O_BINARY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def pread(fd: int, size: int, position: int) -> bytes:
    """Read at most ``size`` bytes at ``position``; fewer only at the end of the file."""
    if hasattr(os, "pread"):
        return os.pread(fd, size, position)
    os.lseek(fd, position, os.SEEK_SET)
    return os.read(fd, size)


def write_all(fd: int, data: Buffer, position: int) -> None:
    """Write all of ``data`` at ``position``. Raises: OSError, perhaps with a part written."""
    if sys.platform == "win32":
        os.lseek(fd, position, os.SEEK_SET)
    view, done = memoryview(data), 0
    while done < len(view):
        rest = view[done:] if done else view
        written = (
            os.write(fd, rest) if sys.platform == "win32" else os.pwrite(fd, rest, position + done)
        )
        if written <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += written


UNLIMITED_FILES = (1 << 20, 1 << 16, 10_240)
"""Limits of open files to try, in this order, where there is no hard limit."""


def raise_open_files_limit() -> int:
    """Raise the limit of open files as far as allowed, a broker keeps one or two per partition;
    return the limit, or the largest int where there is none."""
    try:
        import resource
    except ImportError:
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says that there is no hard limit, and refuses a soft one above the kernel's.
    wanted = UNLIMITED_FILES if hard == resource.RLIM_INFINITY else (hard,)
    for limit in wanted:
        if soft == resource.RLIM_INFINITY or soft >= limit:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (ValueError, OSError):
            continue  # a log that cannot be opened says so itself
        soft = limit
        break
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def die_with_parent(signal_number: int) -> None:
    """Let the kernel send this signal when the parent process ends; elsewhere the pipe to the
    parent alone shows its end."""
    if not LINUX:
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(1, signal_number, 0, 0, 0)  # PR_SET_PDEATHSIG


def name_process(name: str) -> None:
    """Set the name that ps and top show for a forked process; the kernel keeps 15 characters."""
    if LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(15, name.encode()[:15], 0, 0, 0)  # PR_SET_NAME


def freeze(pid: int) -> None:
    """Suspend a process; its sockets stay open."""
    if hasattr(signal, "SIGSTOP") and not PLAIN:
        os.kill(pid, signal.SIGSTOP)
        return
    import psutil

    psutil.Process(pid).suspend()


def thaw(pid: int) -> None:
    """Continue a suspended process."""
    if hasattr(signal, "SIGCONT") and not PLAIN:
        os.kill(pid, signal.SIGCONT)
        return
    import psutil

    psutil.Process(pid).resume()
