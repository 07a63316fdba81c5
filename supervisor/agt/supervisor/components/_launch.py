"""Become a component: the few lines that run in the child before it is the component's own program.

Run as `python -I -S _launch.py LOCK_FD RECORD FACTS -- PROGRAM ARGUMENT...`, alone, without our package or
site-packages, so that it costs milliseconds. It holds the inherited lock (an flock lives as long as any copy of its
descriptor, so the component keeps it by merely existing, whoever its parent is), writes who it is to RECORD (pid, start
time, boot id, and FACTS, the JSON members that the supervisor knows), and becomes PROGRAM under the same pid.
"""

import os
import signal
import sys

EXIT_CANNOT_START = 127
FDS_MAX = 1 << 16


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot: with the pid and the boot id it names one process for ever."""
    with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - pathlib would double the launcher's start time.
        # The program's name stands in parentheses and may hold any byte, parentheses too: count from the last one.
        return int(stat.read().rpartition(b")")[2].split()[19])


def boot_id() -> str:
    """The kernel's name for the time since the last boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:  # noqa: PTH123 - as above.
        return source.read().strip()


def write_record(path: str, text: str) -> None:
    """Write the record whole or not at all; on a full disk over the old one, whose block is there already.

    A gateway that dies while the disk is full has to come back, or the devices stay without their kill switch.
    """
    temporary = f"{path}.new"
    try:
        with open(temporary, "w", encoding="utf-8") as target:  # noqa: PTH123 - as above.
            target.write(text)
        os.rename(temporary, path)  # noqa: PTH104 - as above.
    except OSError:
        with open(path, "r+b", buffering=0) as target:  # noqa: PTH123 - as above.
            target.write(text.encode().ljust(os.fstat(target.fileno()).st_size))


def main(argv: list[str]) -> int:
    """Write the record, then become the program; return only when that is impossible."""
    lock_fd, record, facts, dashes, program, *arguments = argv
    assert dashes == "--", "the supervisor and its launcher are of one version"
    os.set_inheritable(int(lock_fd), True)  # noqa: FBT003 - os gives the flag no name.
    os.closerange(int(lock_fd) + 1, FDS_MAX)  # What the supervisor itself inherited is not the component's business.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and an ignored signal would outlive the exec.
    pid = os.getpid()
    try:
        write_record(record, f'{{"pid":{pid},"start_ticks":{start_ticks(pid)},"boot_id":"{boot_id()}",{facts}}}\n')
        os.execvp(program, [program, *arguments])  # noqa: S606 - no shell is the point.
    except OSError as error:
        sys.stderr.write(f"cannot start {program}: {error.strerror}\n")
    return EXIT_CANNOT_START


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
