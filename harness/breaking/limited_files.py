"""A process that may open no more files, as on a machine that has come to its limit."""

import psutil


class LimitedFiles:
    """From now on, until `lift`; what is open stays so. Set from outside, as prlimit does it."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before: tuple[int, int] = process.rlimit(psutil.RLIMIT_NOFILE)
        _, hard = self._before
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), hard))

    def lift(self) -> None:
        self._process.rlimit(psutil.RLIMIT_NOFILE, self._before)
