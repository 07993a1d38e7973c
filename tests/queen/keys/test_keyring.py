"""Who holds which key: made, looked up, used, and revoked."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from rbee.contract.errors import NameTaken, NotFound, StateNotWritable
from rbee.contract.keys import ChangeKey, CreateKey
from rbee.queen.keys.key_file import KeyFile, StoredKey
from rbee.queen.keys.keyring import Keyring
from rbee.runtime.keyring import OPERATOR, digest_of, id_of

OWN = "the-operators-own-key"
LAPTOP = CreateKey(name="laptop", limit=2, models=["hf:o/r"])


def kept(path: Path) -> list[StoredKey]:
    """What the file says."""
    found = KeyFile(path).read()
    assert found is not None
    return found


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def ring(path: Path, clock: Clock) -> Keyring:
    return Keyring(OWN, KeyFile(path), clock)


async def test_a_key_has_256_bits_and_opens_what_was_said(ring: Keyring) -> None:
    made = await ring.create(LAPTOP)
    assert re.fullmatch(r"rbee_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", made.key)
    assert made.key.startswith(made.prefix)
    who = ring.caller(made.key)
    assert who is not None
    assert (who.name, who.role, who.models, who.limit) == ("laptop", "use", ("hf:o/r",), 2)
    assert ring.caller(made.key) is who
    assert (await ring.create(CreateKey(name="other"))).key != made.key


async def test_the_operators_key_manages_and_is_no_other(ring: Keyring) -> None:
    assert ring.caller(OWN) is OPERATOR
    assert ring.digest("") == digest_of(OWN)


async def test_only_the_whole_key_opens(ring: Keyring) -> None:
    made = (await ring.create(LAPTOP)).key
    wrong = [made[:-1], made + "x", made.swapcase(), made[:-1] + ("A" if made[-1] != "A" else "B")]
    assert [ring.caller(key) for key in [*wrong, "", id_of(made), f"rbee_{id_of(made)}_"]] == [
        None
    ] * 7


async def test_every_key_is_hashed_and_compared_once(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong key, whatever its form, costs what a right one costs."""
    made = (await ring.create(LAPTOP)).key
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(len(one) + len(other))
        return one == other

    monkeypatch.setattr("rbee.contract.hashing._compare_digest", compare)
    counts = []
    for key in (made, made[:-1] + "-", f"rbee_{'0' * 8}_{'a' * 43}", "short", ""):
        compared.clear()
        ring.caller(key)
        counts.append(list(compared))
    assert counts == [[64, 64]] * 5


async def test_a_digest_is_found_by_the_public_part(ring: Keyring) -> None:
    made = await ring.create(LAPTOP)
    assert ring.digest(id_of(made.key)) == digest_of(made.key)
    assert ring.digest("unknown0") is None


async def test_a_name_is_taken_once_and_free_again_when_its_key_is_revoked(ring: Keyring) -> None:
    first = await ring.create(LAPTOP)
    with pytest.raises(NameTaken) as caught:
        await ring.create(CreateKey(name="laptop"))
    assert caught.value.status == 409
    assert "auth revoke laptop" in caught.value.advice
    await ring.revoke("laptop")
    second = await ring.create(LAPTOP)
    assert ring.caller(first.key) is None
    assert ring.caller(second.key) is not None


async def test_a_changed_key_is_the_same_caller_and_its_streams_go_on(
    ring: Keyring, path: Path
) -> None:
    made = await ring.create(LAPTOP)
    await ring.create(CreateKey(name="other"))
    who = ring.caller(made.key)
    assert who is not None and who.revoked is not None
    assert (who.limit, who.queue_limit, who.weight) == (2, None, 1.0)
    row = await ring.change("laptop", ChangeKey(limit=None, queue_limit=4, weight=0.5))
    assert (row.name, row.limit, row.queue_limit, row.weight) == ("laptop", None, 4, 0.5)
    assert ring.caller(made.key) is who
    assert (who.limit, who.queue_limit, who.weight) == (None, 4, 0.5)
    assert not who.revoked.is_set()
    await Keyring(OWN, KeyFile(path)).change("laptop", ChangeKey(weight=3))  # by another queen
    assert ring.caller(made.key) is who
    assert (who.limit, who.queue_limit, who.weight) == (None, 4, 3)
    assert [each.weight for each in kept(path)] == [3, 1]
    with pytest.raises(NotFound) as caught:
        await ring.change("nobody", ChangeKey(weight=3))
    assert caught.value.status == 404


async def test_revoking_tells_those_who_wait_and_nobody_else(ring: Keyring) -> None:
    one = ring.caller((await ring.create(LAPTOP)).key)
    other = ring.caller((await ring.create(CreateKey(name="other"))).key)
    assert one and other and one.revoked and other.revoked
    await ring.revoke("laptop")
    assert one.revoked.is_set()
    assert not other.revoked.is_set()
    with pytest.raises(NotFound) as caught:
        await ring.revoke("laptop")
    assert caught.value.status == 404


async def test_the_list_is_by_name_and_never_has_a_key(ring: Keyring, path: Path) -> None:
    keys = [(await ring.create(CreateKey(name=name))).key for name in ("b", "a")]
    assert [row.name for row in ring.rows()] == ["a", "b"]
    for key in keys:
        assert key not in str(ring.rows())
        assert key[14:] not in path.read_text()


async def test_the_last_use_is_known_at_once_and_written_later(
    ring: Keyring, path: Path, clock: Clock
) -> None:
    made = await ring.create(LAPTOP)
    assert ring.rows()[0].last_used_unix is None
    clock.now = 1042.9
    ring.caller(made.key)
    assert ring.rows()[0].last_used_unix == 1042
    assert kept(path)[0].last_used_unix is None


async def test_at_the_end_the_last_use_is_written(ring: Keyring, path: Path, clock: Clock) -> None:
    watching = asyncio.create_task(ring.watch())
    made = await ring.create(LAPTOP)
    clock.now = 1010.0
    ring.caller(made.key)
    await asyncio.sleep(0)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert kept(path)[0].last_used_unix == 1010


async def test_a_use_is_written_once_a_minute(
    ring: Keyring, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee.queen.keys.keyring._LOOK_EVERY_S", 0)
    made = await ring.create(LAPTOP)
    watching = asyncio.create_task(ring.watch())
    await asyncio.sleep(0)
    ring.caller(made.key)
    clock.now += 59
    for _ in range(50):  # it looks each time
        await asyncio.sleep(0)
    assert kept(path)[0].last_used_unix is None
    clock.now += 1
    async with asyncio.timeout(5):
        while kept(path)[0].last_used_unix is None:  # noqa: ASYNC110  a file: no event
            await asyncio.sleep(0.001)
    watching.cancel()
    await asyncio.wait({watching})


async def test_the_later_of_two_queens_uses_counts(ring: Keyring, path: Path, clock: Clock) -> None:
    made = await ring.create(LAPTOP)
    other_clock = Clock()
    other = Keyring(OWN, KeyFile(path), other_clock)
    other_clock.now, clock.now = 2000.0, 1500.0
    for each in (other, ring):
        each.caller(made.key)
        watching = asyncio.create_task(each.watch())
        await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait({watching})
    assert kept(path)[0].last_used_unix == 2000


async def test_what_another_queen_of_this_home_makes_or_revokes_counts_here(
    ring: Keyring, path: Path
) -> None:
    other = Keyring(OWN, KeyFile(path))
    made = await other.create(LAPTOP)
    who = ring.caller(made.key)
    assert who is not None and who.revoked is not None
    await other.revoke("laptop")
    assert ring.caller(made.key) is None
    assert who.revoked.is_set()


async def test_what_runs_ends_when_another_queen_revokes_though_nobody_asks(
    ring: Keyring, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rbee.queen.keys.keyring._LOOK_EVERY_S", 0.001)
    who = ring.caller((await ring.create(LAPTOP)).key)
    assert who is not None and who.revoked is not None
    watching = asyncio.create_task(ring.watch())
    await Keyring(OWN, KeyFile(path)).revoke("laptop")
    async with asyncio.timeout(5):
        await who.revoked.wait()
    watching.cancel()
    await asyncio.wait({watching})


async def test_a_file_that_can_t_be_read_now_revokes_nobody(ring: Keyring, path: Path) -> None:
    made = await ring.create(LAPTOP)
    who = ring.caller(made.key)
    aside = path.rename(path.with_name("aside"))
    path.mkdir()
    assert who is not None and who.revoked is not None
    assert ring.caller(made.key) is who
    path.rmdir()
    aside.rename(path)
    assert ring.caller(made.key) is who
    path.unlink()
    assert ring.caller(made.key) is None
    assert who.revoked.is_set()


async def test_a_key_that_can_not_be_kept_is_not_made(ring: Keyring, path: Path) -> None:
    path.mkdir()
    with pytest.raises(StateNotWritable):
        await ring.create(LAPTOP)
    assert ring.rows() == []


@pytest.mark.parametrize(
    "change",
    [
        {"role": "manage"},
        {"models": []},
        {"name": "other"},
        {"sha256": digest_of("rbee_another").hex()},
    ],
)
async def test_a_key_that_the_file_changes_is_another_one(
    ring: Keyring, path: Path, change: dict[str, object]
) -> None:
    made = await ring.create(LAPTOP)
    who = ring.caller(made.key)
    assert who is not None and who.revoked is not None
    KeyFile(path).change(lambda keys: [msgspec.structs.replace(key, **change) for key in keys])
    now = ring.caller(made.key)
    assert who.revoked.is_set()
    [said] = kept(path)
    if "sha256" in change:
        assert now is None and ring.digest(said.id) == bytes.fromhex(said.sha256)
        return
    assert now is not None and now.revoked is not None and not now.revoked.is_set()
    assert (now.name, now.role, now.limit) == (said.name, said.role, said.limit)
    assert now.models == tuple(said.models)


async def test_a_key_of_which_the_file_only_tells_a_later_use_is_the_same(
    ring: Keyring, path: Path
) -> None:
    made = await ring.create(LAPTOP)
    who = ring.caller(made.key)
    later = 4_000_000_000
    KeyFile(path).change(
        lambda keys: [msgspec.structs.replace(key, last_used_unix=later) for key in keys]
    )
    assert ring.rows()[0].last_used_unix == later
    assert ring.caller(made.key) is who
