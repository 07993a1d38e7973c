"""`python -m rbee.keeper` and the console script."""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

from rbee.runtime.leave import leave_after

_COMPLETE = "_RBEE_KEEPER_COMPLETE"


def main() -> None:
    """Run the command that was typed, or answer a shell that completes one.

    From here on Ctrl+C ends the program in order, also before the command has installed its own
    handler, and after its end.

    What the imports make stays: to look for garbage in it, again and again, would take a tenth of
    their time. The command itself turns the collector on (`rbee.runtime`).
    """
    gc.disable()
    leave_after(_main)


def _main() -> None:
    signal.signal(signal.SIGINT, _interrupted)
    from rbee.keeper.cli import main as command_line

    if _COMPLETE in os.environ:
        from rbee.keeper.cli import shells

        shells.register()
    try:
        command_line(prog_name="rbee-keeper")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupted(number: int, frame: FrameType | None) -> None:
    # No exception: in the middle of an import it would look like that import's failure.
    print("Canceled.", file=sys.stderr, flush=True)
    os._exit(130)


if __name__ == "__main__":
    main()
