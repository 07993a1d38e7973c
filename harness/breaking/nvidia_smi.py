"""The body of the harness's nvidia-smi, a program of its own, which reads cards.json beside it."""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

Card = dict[str, Any]

NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running.\n"
)
GARBAGE = (
    "\x1b[2J0, \u20ac\u20ac, \n, , ,\n-1, 99999999999999999999, nan, \x00\x07\n"
    "0, 99999999999999999999, 1, card\nmilk, bread\n\n,,,\n"
)


def take(cards: list[Card], workers: Path, each_takes: int) -> None:
    """Take from each card what the workers have that were started on it and still live."""
    started = workers.read_text(encoding="utf-8").splitlines() if workers.exists() else []
    for each in map(json.loads, started):
        words = dict(pairwise(each["words"]))
        if words["--backend"] == "cuda" and Path(f"/proc/{each['pid']}").exists():
            card = cards[int(words["--device"])]
            card["free"] = max(0, card["free"] - each_takes)


def memory(card: Card, mib: int) -> str:
    return f"{mib} MiB" if card["total"] else "[N/A]"


def value(field: str, index: int, card: Card) -> str:
    known: dict[str, object] = {
        "index": index,
        "name": card["name"],
        "gpu_name": card["name"],
        "uuid": f"GPU-{index:08x}-0000-4000-8000-000000000000",
        "gpu_uuid": f"GPU-{index:08x}-0000-4000-8000-000000000000",
        "memory.total": memory(card, card["total"]),
        "memory.free": memory(card, card["free"]),
        "memory.used": memory(card, card["total"] - card["free"]),
        "utilization.gpu": "3 %",
        "temperature.gpu": 41,
        "driver_version": "570.86.15",
        "pci.bus_id": f"00000000:{index + 1:02X}:00.0",
        "gpu_serial": "[N/A]",
        "display_active": "Disabled",
        "display_mode": "Disabled",
        "compute_cap": "8.9",
    }
    if field not in known:
        print(f'Field "{field}" is not a valid field to query.\n')
        sys.exit(2)
    return str(known[field])


def query(fields: list[str], options: list[str], cards: list[Card]) -> str:
    rows = [[value(field, index, card) for field in fields] for index, card in enumerate(cards)]
    if "nounits" in options:
        rows = [[cell.removesuffix(" MiB").removesuffix(" %") for cell in row] for row in rows]
    if "noheader" not in options:
        rows.insert(0, [f"{field} [MiB]" if "memory" in field else field for field in fields])
    return "".join(", ".join(row) + "\n" for row in rows)


def answer(words: list[str], cards: list[Card]) -> str:
    asked = dict(word.lstrip("-").partition("=")[::2] for word in words)
    if "query-gpu" in asked and asked.get("format", "").startswith("csv"):
        return query(asked["query-gpu"].split(","), asked["format"].split(","), cards)
    if "-L" in words:
        return "".join(
            f"GPU {index}: {card['name']} (UUID: {value('uuid', index, card)})\n"
            for index, card in enumerate(cards)
        )
    print("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
    sys.exit(1)


def main() -> None:
    folder = Path(__file__).parent
    state = json.loads((folder / "cards.json").read_text(encoding="utf-8"))
    with (folder / "calls").open("a") as log:
        log.write(" ".join(sys.argv[1:]) + "\n")
    behaviour = state["behaviour"]
    take(state["cards"], Path(state["workers"]), state["each_takes"])
    if behaviour == "failure":
        sys.stdout.write(NO_DRIVER)
        sys.exit(9)
    if behaviour == "garbage":
        sys.stdout.buffer.write(GARBAGE.encode() + b"\xff\xfe\n")
        return
    while behaviour == "a flood":
        sys.stdout.write("0, 1, 1, card\n" * 1000)
    if behaviour == "half an answer":
        sys.stdout.write(answer(sys.argv[1:], state["cards"])[:7])
        sys.stdout.flush()
    if behaviour in ("silence", "half an answer"):
        time.sleep(3600)
    sys.stdout.write(answer(sys.argv[1:], state["cards"]))


if __name__ == "__main__":
    main()
