"""`python -m rbee.hive` and the console script."""

from __future__ import annotations

import gc
import sys

from rbee.runtime import daemon_words
from rbee.runtime.leave import leave_after


def main() -> None:
    """Run the command that was typed.

    What the imports make stays: to look for garbage in it, again and again, would take a tenth of
    their time. The command itself turns the collector on (`rbee.runtime`).
    """
    gc.disable()
    if (flags := daemon_words.read(sys.argv[1:])) is not None:
        from rbee.hive.start import start

        leave_after(lambda: start(flags))
    from rbee.hive.cli import main as command_line

    leave_after(lambda: command_line(prog_name="rbee-hive"))


if __name__ == "__main__":
    main()
