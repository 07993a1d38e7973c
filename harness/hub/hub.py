"""The Hub of a world: it speaks what the real huggingface_hub client asks, and breaks on request.

hub = Hub("127.0.0.1", 0)
hub.add_repository("lab/tiny", {"tiny-Q8_0.gguf": Path("…")})
os.environ["HF_ENDPOINT"] = hub.url
…
hub.close()
"""

from collections.abc import Mapping
from pathlib import Path

from harness.hub.faults import HubFaults
from harness.hub.repositories import Blob, Repository
from harness.hub.request_log import RequestLog
from harness.hub.server import HubServer, Library
from harness.world.waiting import wait_until
from harness.world.world import World


class Hub:
    """Listens from its creation on. `down` and `up` take it off the network and back."""

    def __init__(self, address: str, port: int) -> None:
        self.log = RequestLog()
        self.faults = HubFaults()
        self.repositories: dict[str, Repository] = {}
        self._library = Library(self.repositories, self.faults, self.log)
        self._server: HubServer | None = HubServer(address, port, "hub", self._library)
        self._storage: HubServer | None = None
        self._address, self._port = self._server.server_address[:2]

    @property
    def address(self) -> tuple[str, int]:
        return str(self._address), int(self._port)

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def add_repository(
        self, name: str, files: Mapping[str, Path], branch: str = "main", token: str | None = None
    ) -> Repository:
        """`name` is owner/name; a second branch is added in the same way as the first."""
        repository = self.repositories.setdefault(name, Repository(name))
        repository.commit(branch, files)
        repository.token = token or repository.token
        return repository

    def redirect_files_to(self, address: str) -> str:
        """From now on files come from this host, as from the real Hub's storage; return its url."""
        self._storage = HubServer(address, self._port, "storage", self._library)
        self._library.storage_url = f"http://{address}:{self._port}"
        return self._library.storage_url

    def blob(self, filename: str) -> Blob:
        """Return the only file with that name, as it is now."""
        mains = [repository.branches["main"].blobs for repository in self.repositories.values()]
        (found,) = [blobs[filename] for blobs in mains if filename in blobs]
        return found

    def wait_for_sent(self, filename: str, percent: float, within: float = 20) -> None:
        """Wait until this part of a file has been sent while the transfer still goes on."""
        size = self.blob(filename).size
        wait_until(
            f"{percent:g} % of {filename} to be sent",
            lambda: [record.sent for record in self.log.transfers(filename)],
            within,
            lambda sent: sum(sent) >= size * percent / 100,
        )
        last = self.log.transfers(filename)[-1]
        assert last.ended_at is None, f"the transfer is already over: {last}"

    def down(self) -> None:
        """Stop listening, and cut the connections that are open."""
        if self._server:
            self._server.stop()
            self._server = None

    def up(self) -> None:
        assert self._server is None, "the Hub is already up"
        self._server = HubServer(*self.address, "hub", self._library)

    def close(self) -> None:
        self.down()
        if self._storage:
            self._storage.stop()
            self._storage = None


def open_hub(world: World) -> Hub:
    """From now on the world's programs use this Hub and no other."""
    hub = Hub(world.network.address(3), 8000)
    world.extra_environment["HF_ENDPOINT"] = hub.url
    world.placeholders["Hub"] = hub.url
    world.add_cleanup(hub.close)
    return hub
