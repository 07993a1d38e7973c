"""Whether a word that a person typed was run as a command somewhere."""

from pathlib import Path

from harness.world.world import World


def touched(world: World) -> list[Path]:
    """What `touch pwned` would leave, wherever a shell may have stood."""
    stood = [Path.cwd(), Path.home(), Path("/"), Path("/tmp")]
    found = [folder / "pwned" for folder in stood if (folder / "pwned").exists()]
    return [*found, *world.root.rglob("pwned")]
