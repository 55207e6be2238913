"""The parent of a foreign command: keeps its time, shortens what it says, ends everything that came of it.

Started by `process.run` as `python -I -S supervisor.py`. Standard library only, nothing of lipbench.

    stdin   one line of JSON: argv cwd env stdout stderr limit_s grace_s sample_s head tail kill.
            When it closes, lipbench is dead or does not want the command any more.
    stdout  {"pid"} once the command runs; when all is over
            {"rc", "timed_out", "wall_s", "peak_rss", "strays", "reason"}

On Linux it adopts what the command leaves behind (a "subreaper"), sessions of their own included, so that nothing gets
away. Elsewhere only the command's process group is ended.
"""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
SETTLE_S = 1.0  # between writings of a long log's end
PATIENCE_S = 10.0  # for processes that SIGKILL has reached: the kernel may have to wait for a disk


def prctl(what: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def die_with_parent() -> None:
    """In the command, before it starts: it ends with this process, whatever ends this one."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Log:
    """A file with the beginning and the end of a stream; what is between them is counted."""

    def __init__(self, path: str, head: int, tail: int) -> None:
        self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - to the end of this process
        self.head, self.tail = head, tail
        self.last, self.left_out = bytearray(), 0
        self.end_of_head, self.dirty, self.settled = -1, False, 0.0

    def write(self, data: bytes) -> None:
        if self.head:
            self.put(data[: self.head])
            first, data = data[: self.head], data[self.head :]
            self.head -= len(first)
        if data:
            self.last += data
            if len(self.last) > self.tail:
                self.left_out += len(self.last) - self.tail
                del self.last[: len(self.last) - self.tail]
            self.dirty = True
            if time.monotonic() - self.settled > SETTLE_S:
                self.settle()

    def settle(self) -> None:
        """Write the end behind the beginning, in place of the end that stood there."""
        if not self.dirty:
            return
        if self.end_of_head < 0:
            self.end_of_head = os.fstat(self.file.fileno()).st_size
        try:
            self.file.truncate(self.end_of_head)
        except OSError:
            return
        if self.left_out:
            self.put(b"\n[... %d bytes left out ...]\n" % self.left_out)
        self.put(bytes(self.last))
        self.dirty, self.settled = False, time.monotonic()

    def put(self, data: bytes) -> None:
        try:
            self.file.write(data)
        except OSError:  # a full disk ends the command soon enough, and its own error says so
            pass


def relatives() -> list[tuple[int, int]]:
    """[(pid, resident bytes)] of all that runs below this process; empty where there is no /proc."""
    page = os.sysconf("SC_PAGE_SIZE")
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                text = file.read()
            # The name in parentheses may hold spaces: count fields from the last parenthesis.
            fields = text[text.rindex(")") + 2 :].split()
        except (OSError, ValueError):
            continue
        parents[int(name)] = int(fields[1])
        if fields[0] not in "ZX":  # ended, and not yet asked for
            resident[int(name)] = int(fields[21]) * page
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        parent = queue.pop()
        below = [pid for pid, its_parent in parents.items() if its_parent == parent]
        found += below
        queue += below
    return [(pid, resident[pid]) for pid in found if pid in resident]


class Supervisor:
    def __init__(self, job: dict[str, Any]) -> None:
        self.job, self.start = job, time.monotonic()
        self.rc: int | None = None
        self.alone, self.peak = False, 0
        self.wanted, self.timed_out, self.strays = True, False, 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(0, selectors.EVENT_READ, "control")
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self.selector.register(wake, selectors.EVENT_READ, "signal")
        # Handlers, not SIG_IGN: the command would inherit that.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, self.dismissed)

    def dismissed(self, *_: Any) -> None:
        self.wanted = False

    def run(self) -> dict[str, Any]:
        job = self.job
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        try:
            self.child = subprocess.Popen(
                job["argv"],
                cwd=job["cwd"],
                env=job["env"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            return {"rc": None, "reason": f"{job['argv'][0]}: {error.strerror or error}"}
        self.logs: list[Log] = []
        for stream, path in ((self.child.stdout, job["stdout"]), (self.child.stderr, job["stderr"])):
            assert stream is not None
            self.logs.append(Log(path, job["head"], job["tail"]))
            self.selector.register(stream, selectors.EVENT_READ, self.logs[-1])
        say({"pid": self.child.pid})
        deadline, pause, sampled = self.start + job["limit_s"], 0.01, 0.0
        while self.rc is None and self.wanted and not self.timed_out:
            now = time.monotonic()
            if now - sampled > pause:
                self.peak, sampled = max(self.peak, sum(size for _, size in relatives())), now
                pause = min(job["sample_s"], pause * 2)
            self.timed_out = now > deadline
            self.attend(min(pause, max(0.0, deadline - now)))
        if self.rc is None:
            self.ask(job["grace_s"])
        self.end()
        for log in self.logs:
            log.settle()
        return {"rc": self.rc}

    def attend(self, timeout_s: float) -> None:
        """One look at everything: what was said, who has ended, whether lipbench is there."""
        for key, _ in self.selector.select(timeout_s):
            try:
                data = os.read(key.fd, 1 << 16)
            except OSError:
                data = b""
            if isinstance(key.data, Log):
                if data:
                    key.data.write(data)
                else:
                    self.selector.unregister(key.fileobj)
            elif key.data == "control" and not data:
                self.selector.unregister(key.fileobj)
                self.wanted = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.alone = True
                break
            if pid == 0:
                break
            if pid == self.child.pid:
                self.rc = self.child.returncode = os.waitstatus_to_exitcode(status)

    def ask(self, grace_s: float) -> None:
        """SIGTERM to all, and time to follow it; what it says meanwhile is still read, or it would be stuck."""
        self.send(signal.SIGTERM)
        until = time.monotonic() + grace_s
        while not self.alone and time.monotonic() < until and self.rc is None:
            self.attend(0.05)
        if self.job["kill"]:  # docker: the container is no relative of its client
            try:
                subprocess.run(
                    self.job["kill"], env=self.job["env"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
                )
            except (OSError, subprocess.SubprocessError):
                pass

    def end(self) -> None:
        """SIGKILL until nothing is left; what was started meanwhile is found by the next look."""
        done = self.rc is not None and not self.timed_out and self.wanted
        until = time.monotonic() + PATIENCE_S
        self.attend(0)
        seen: set[int] = set()
        while not self.alone and time.monotonic() < until:
            seen |= self.send(signal.SIGKILL)
            self.attend(0.02)
        self.strays = len(seen) if done else 0
        quiet = time.monotonic() + 0.2
        while time.monotonic() < quiet and any(isinstance(k.data, Log) for k in self.selector.get_map().values()):
            self.attend(0.02)  # what is still in the pipes

    def send(self, number: int) -> set[int]:
        reached = {pid for pid, _ in relatives()}
        for pid in reached:
            try:
                os.kill(pid, number)
            except OSError:
                pass
        try:
            os.killpg(self.child.pid, number)
        except OSError:
            pass
        return reached


def say(what: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(what).encode() + b"\n")
    except OSError:  # lipbench is dead: nobody listens
        pass


def main() -> None:
    job = json.loads(sys.stdin.buffer.readline())
    supervisor = Supervisor(job)
    answer = supervisor.run()
    say(
        {
            "timed_out": supervisor.timed_out,
            "wall_s": time.monotonic() - supervisor.start,
            "peak_rss": supervisor.peak,
            "strays": supervisor.strays,
            "reason": "",
            **answer,
        }
    )


if __name__ == "__main__":
    main()
