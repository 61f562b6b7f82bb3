"""A real memory cgroup with a limit, v1 or v2. Making one needs root (or a delegated group)."""

import os
import pathlib
import sys
import time

_MOUNT = pathlib.Path("/sys/fs/cgroup")


class MemoryGroup:
    """Made on entry, removed on exit, after the processes in it have ended."""

    def __init__(self, limit_bytes):
        self.is_v1 = (_MOUNT / "memory" / "memory.limit_in_bytes").exists()
        self.path = (_MOUNT / "memory" if self.is_v1 else _MOUNT) / f"kvcache-bench-{os.getpid()}"
        self._processor_path = None  # a group of its own in v1
        self._first_limit = limit_bytes
        self._peak = None

    def __enter__(self):
        try:
            if not self.is_v1:
                (_MOUNT / "cgroup.subtree_control").write_text("+memory")
            self.path.mkdir()
            self.set_limit(self._first_limit)
            swap = self.path / ("memory.swappiness" if self.is_v1 else "memory.swap.max")
            if swap.exists():
                swap.write_text("0")
        except OSError as fault:
            sys.exit(f"no memory cgroup can be made here ({fault}): run as root, outside a container or in a privileged one")
        return self

    def __exit__(self, *_):
        if self._peak is not None:
            self._peak.close()
        for path in filter(None, (self.path, self._processor_path)):
            self._remove(path)

    @staticmethod
    def _remove(path):
        for _ in range(50):
            try:
                path.rmdir()
                return
            except OSError:
                time.sleep(0.1)  # the kernel still counts the ended processes
        print(f"{path} could not be removed", file=sys.stderr)

    def allow_processors(self, share, process):
        """A quota for that process, in processors; on v2 for the whole group."""
        period_us = 100_000
        quota_us = int(share * period_us)
        if not self.is_v1:
            (_MOUNT / "cgroup.subtree_control").write_text("+cpu")
            (self.path / "cpu.max").write_text(f"{quota_us} {period_us}")
            return
        self._processor_path = _MOUNT / "cpu" / self.path.name
        self._processor_path.mkdir()
        (self._processor_path / "cpu.cfs_period_us").write_text(str(period_us))
        (self._processor_path / "cpu.cfs_quota_us").write_text(str(quota_us))
        (self._processor_path / "cgroup.procs").write_text(str(process))

    def set_limit(self, limit_bytes):
        """On v1 the kernel refuses a limit below the present use, as OSError."""
        (self.path / ("memory.limit_in_bytes" if self.is_v1 else "memory.max")).write_text(str(limit_bytes))

    def join(self):
        """For the process to be limited, between fork and exec."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def used_bytes(self):
        """Without page cache, which the kernel drops at the limit."""
        used = int((self.path / ("memory.usage_in_bytes" if self.is_v1 else "memory.current")).read_text())
        prefix = "total_" if self.is_v1 else ""
        droppable = sum(self._field("memory.stat", prefix + name) for name in ("inactive_file", "active_file"))
        return max(0, used - droppable)

    def charged_bytes(self):
        """All that counts against the limit, page cache included."""
        return int((self.path / ("memory.usage_in_bytes" if self.is_v1 else "memory.current")).read_text())

    def reset_peak(self):
        """peak_bytes() is of the time since then. On v2 this needs Linux 6.12."""
        if self.is_v1:
            (self.path / "memory.max_usage_in_bytes").write_text("0")
            return
        if self._peak is not None:
            self._peak.close()
        self._peak = open(self.path / "memory.peak", "r+", encoding="ascii")  # the peak is reset for this descriptor
        self._peak.write("reset")
        self._peak.flush()

    def peak_bytes(self):
        """The highest charged_bytes() since reset_peak()."""
        if self.is_v1:
            return int((self.path / "memory.max_usage_in_bytes").read_text())
        self._peak.seek(0)
        return int(self._peak.read())

    def oom_kills(self):
        return self._field("memory.oom_control" if self.is_v1 else "memory.events", "oom_kill")

    def _field(self, file, name):
        for line in (self.path / file).read_text().splitlines():
            words = line.split()
            if words[0] == name:
                return int(words[1])
        return 0
