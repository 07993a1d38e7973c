"""Work that nobody waits for, and templates that never end (item 7)."""

from __future__ import annotations

import json
import socket
import time

from harness.attack import exchange
from harness.attack.cases import case
from harness.attack.exchange import LIMIT_S
from harness.attack.scene import Scene
from harness.attack.verdict import Bounds
from harness.model_files.synthetic import write_model
from harness.watching.standalone_worker import StandaloneWorker
from harness.world import cluster
from harness.world.waiting import NeverHappenedError, wait_until

_ASKERS = 6
# Until a worker has seen that a client has left, and has ended what it asked for.
_NOTICED_S = 1.0
_TEMPLATES = {
    "a loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 99999999999 }}",
    "a long range": "{{ range(9999999999) | list }}",
    "much lipsum": "{{ lipsum(n=100000) }}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a wide text": "{{ '%99999999999d' | format(1) }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "doubling": "{% set ns = namespace(t='aa') %}{% for i in range(60) %}"
    "{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
}


# glibc keeps what a thread has freed: it rises by 300 MB in four rounds, and then falls again.
@case("texts that take long", bounds=Bounds(growth_mb=192, peak_mb=800))
def long_texts(scene: Scene) -> None:
    """Prompts that a tokenizer dislikes, from clients that leave: the next one is answered soon."""
    for unit in ("a", " ", "é", "\n", "<|im_start|>", "0", "a b"):
        _ask_and_leave(scene, {"prompt": unit * (2_000_000 // len(unit.encode())), "max_tokens": 1})
    _expect_answers(scene, "long texts")


@case("template bombs", own=True, slow=True, bounds=Bounds(peak_mb=512))
def template_bombs(scene: Scene) -> None:
    """Models whose templates loop or grow without end; their askers leave. The worker is not
    listed as idle while it can't answer, and answers the next one."""
    world = scene.world
    for number, (name, template) in enumerate(_TEMPLATES.items()):
        path = world.root / f"template-{number}.gguf"
        write_model(path, layers=1, width=64, hidden=64, template=template)
        worker = StandaloneWorker(world, "--slots 2 --context 256", model=path)
        scene.addresses = {"worker": (world.network.address(8), 8001)}
        scene.watch({"worker": cluster.process_at(world, worker.url).pid})
        said = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        for _ in range(_ASKERS):
            _ask_and_leave(scene, said)
        _expect_answers(scene, name)
        scene.check_alive()
        worker.status.close()
        ended = scene.send("worker", "POST", "/v1/admin/shutdown")
        scene.expect(ended.status == 202, f"{name}: shutdown {ended.status}")
        worker.run.wait(15)
        scene.forget("worker")


def _expect_answers(scene: Scene, name: str) -> None:
    """The next one is answered soon; and once the askers have been noticed to be gone, a worker
    that calls itself idle answers."""
    began = time.monotonic()

    def answered() -> tuple[str, int]:
        ready = scene.send("worker", "GET", "/v1/ready")
        state = str(json.loads(ready.body or b"{}").get("state"))
        answer = scene.send("worker", "POST", "/v1/inference", {"prompt": "hi", "max_tokens": 1})
        settled = time.monotonic() - began > _NOTICED_S
        lies = settled and state == "idle" and answer.status != 200
        scene.expect(not lies, f"{name}: listed as idle, and answers {answer.code}")
        return state, answer.status

    try:
        wait_until("the next prompt to be answered", answered, LIMIT_S, lambda seen: seen[1] == 200)
    except NeverHappenedError as error:
        scene.faults.append(f"{name}: {error}")


def _ask_and_leave(scene: Scene, body: object) -> None:
    host, port = scene.addresses["worker"]
    headers = {"Host": f"{host}:{port}", "Content-Type": "application/json", **scene.bearer}
    content = exchange.request("POST", "/v1/inference", headers, json.dumps(body).encode())
    with socket.create_connection((host, port), timeout=LIMIT_S) as connection:
        connection.sendall(content)
