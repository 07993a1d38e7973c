"""The models as Ollama's clients list, show, load, pull and delete them, and their vectors."""

from datetime import datetime
from typing import Any

from behave import then, when
from behave.runner import Context

from harness.model_files.bundled import BUNDLED, bundled_path
from harness.watching import catalog, ollama_package, openai_package, protocol_errors, replies
from harness.watching.ollama_package import OllamaPackage, WaitingChat
from harness.watching.raw_requests import bearer, send
from harness.world import cluster
from harness.world.waiting import wait_until

# Programs refuse a server that is older than what they ask for.
_NEW_ENOUGH = (0, 13, 0)
_LONGEST_NS = 30_000_000_000
_RECENT_S = 300
_BEES = {"type": "array", "items": {"const": "bees"}, "minItems": 20, "maxItems": 20}
_OF_ANTHROPIC = {"anthropic-version": "2023-06-01"}
_PARAMETERS = {
    "temperature": 0.7,
    "top_k": 40,
    "top_p": 0.95,
    "min_p": 0.05,
    "repeat_penalty": 1,
}


def _package(context: Context) -> OllamaPackage:
    return OllamaPackage(context.world.queen_url, context.world.key)


@when("Ollama's package lists the models of a queen that has just begun")
def lists(context: Context) -> None:
    context.listed = _package(context).call("list")["models"]


@then("it lists the bundled one and its alias with every field that strict clients want")
def listed(context: Context) -> None:
    found = {each["model"]: each for each in context.listed}
    assert set(found) == {BUNDLED, "smollm2:latest"}, found
    for each in _package(context).raw("GET /api/tags").json["models"]:
        assert each["name"] == each["model"], each
        assert len(each["digest"]) == 64 and each["size"] == 98_362_432, each
        modified = datetime.fromisoformat(each["modified_at"]).timestamp()
        assert abs(modified - bundled_path().stat().st_mtime) < 2, each
        assert not ollama_package.details_problem(each["details"]), each
    assert found[BUNDLED]["digest"] == found["smollm2:latest"]["digest"], found
    assert found[BUNDLED]["details"]["parameter_size"] == "134.52M", found
    version = _package(context).raw("GET /api/version").json["version"]
    major, minor, patch = map(int, version.split("."))
    assert _NEW_ENOUGH <= (major, minor, patch) < (1, 0, 0), version


@then("it shows that model by each of these names: {names}")
def shows(context: Context, names: str) -> None:
    for name in names.split(", "):
        found = _package(context).call("show", name)
        info = found["modelinfo"]
        assert info["llama.context_length"] == 8192, info
        assert info["general.architecture"] == "llama", info
        assert info["general.parameter_count"] == 134515008, info
        assert found["capabilities"] == ["completion"], found
        assert "<|im_start|>" in found["template"], found
        lines = (line.split() for line in found["parameters"].splitlines())
        assert {name: float(value) for name, value in lines} == _PARAMETERS, found
        shown = datetime.fromisoformat(found["modified_at"]).timestamp()
        assert abs(shown - bundled_path().stat().st_mtime) < 2, found
        assert found["license"] == "apache-2.0", found
        assert "smollm2" in found["modelfile"], found
        assert not ollama_package.details_problem(found["details"]), found
    older = _package(context).raw("POST /api/show", {"name": "smollm2"})
    assert older.status == 200 and older.json["license"] == "apache-2.0", older


@then("Ollama's package is told what these models can do")
def told_capabilities(context: Context) -> None:
    """As soon as the hive has seen the files."""
    wanted = {row["model"]: row["capabilities"].split(", ") for row in context.table}
    package = _package(context)

    def told() -> dict[str, list[str]]:
        models = package.raw("GET /api/tags").json["models"]
        return {each["model"]: each["capabilities"] for each in models if each["model"] in wanted}

    found = wait_until("these models", told, 20, lambda found: found.keys() == wanted.keys())
    shown = {name: package.call("show", name)["capabilities"] for name in wanted}
    assert found == shown == wanted, (found, shown)


@then("an empty request loads it, and with keep_alive 0 takes it out of memory")
def loads(context: Context) -> None:
    package = _package(context)
    for route in ("generate", "chat"):
        nothing: dict[str, Any] = {"prompt": ""} if route == "generate" else {"messages": []}
        loaded = package.ask(route, nothing)
        assert (loaded["done"], loaded["done_reason"]) == (True, "load"), loaded
        assert package.call("ps")["models"], "nothing is in memory"
        unloaded = package.ask(route, {**nothing, "keep_alive": 0})
        assert (unloaded["done"], unloaded["done_reason"]) == (True, "unload"), unloaded
        assert not package.call("ps")["models"], "it is still in memory"


@then("while it is in memory, its context, its size and the time of its end are told")
def in_memory(context: Context) -> None:
    package = _package(context)
    package.ask("generate", {"prompt": "", "keep_alive": -1})
    package.call("embed", model="smollm2", input="The cat")
    (stays,) = package.raw("GET /api/ps").json["models"]
    assert "2200" < stays["expires_at"] < "2400", stays
    package.ask("generate", {"prompt": "", "keep_alive": "10m"})
    (found,) = package.raw("GET /api/ps").json["models"]
    assert found["name"] == found["model"] == "smollm2:latest", found
    assert found["context_length"] == 8192 and found["size"] == 287_106_112, found
    assert found["size_vram"] == 0 and len(found["digest"]) == 64, found
    left = ollama_package.seconds_left(found)
    assert 590 < left <= 601, (left, found)
    assert not ollama_package.details_problem(found["details"]), found


@then("it leaves the memory at the time that was told")
def leaves(context: Context) -> None:
    told, took = ollama_package.stays(context.world, "8s")
    assert 1 < told <= 8.1 and told - 0.5 < took < told + 3, (told, took)


@then("asked to leave while it answers, it leaves when the answer is whole")
def leaves_after(context: Context) -> None:
    """The answer takes longer than the grace of a worker that is told to end."""
    package = _package(context)
    asked = {"format": _BEES, "options": {"num_predict": 4000}}
    chat = WaitingChat(context.world.queen_url, context.world.key, asked)
    unloaded = package.ask("generate", {"prompt": "", "keep_alive": 0})
    assert unloaded["done_reason"] == "unload", unloaded
    found = chat.lines()
    assert "error" not in found[-1] and found[-1]["done_reason"] == "stop", found[-1]
    running = wait_until("its end", lambda: package.call("ps")["models"], 10, lambda left: not left)
    assert running == [], running


@then("vectors are those of its worker, in the new form and in the old one")
def vectors(context: Context) -> None:
    package = _package(context)
    (worker,) = cluster.workers(context.world)
    url = f"{worker['url']}/v1/embeddings"
    reply = context.world.call("POST", url, {"input": "The cat"}, timeout=30)
    wanted = replies.embeddings(reply).matrix[0]
    new = package.call("embed", model="smollm2", input=["The cat", "A dog"])
    old = package.call("embeddings", model="smollm2", prompt="The cat")
    assert new["prompt_eval_count"] > 0 and len(new["embeddings"]) == 2, new
    assert new["model"] == "smollm2", new
    assert 1_000_000 < new["total_duration"] < _LONGEST_NS, new
    assert new["load_duration"] < new["total_duration"], new
    short = package.call("embed", model="smollm2", input="The cat", dimensions=64)
    assert len(short["embeddings"][0]) == 64, short
    for found in (new["embeddings"][0], old["embedding"]):
        assert 0.999 < openai_package.cosine(found, wanted) < 1.001, found
    assert package.call("embed", model="smollm2", input="")["embeddings"] == []


@then(
    "of a text that is longer than num_ctx the beginning counts, unless truncate is false or the"
    " form is the old one"
)
def cut_texts(context: Context) -> None:
    package = _package(context)
    short = package.call("embed", model="smollm2", input="The cat")
    count = short["prompt_eval_count"]
    long = {"model": "smollm2", "options": {"num_ctx": count}}
    text = "The cat sleeps on the sofa"
    cut = package.call("embed", input=text, **long)
    assert cut["prompt_eval_count"] == count, cut["prompt_eval_count"]
    near = openai_package.cosine(cut["embeddings"][0], short["embeddings"][0])
    assert 0.999 < near < 1.001, near
    for name, fields in (
        ("embed", {"input": text, "truncate": False}),
        ("embeddings", {"prompt": text}),
    ):
        status, said = package.refusal(name, {**long, **fields})
        assert status == 400 and f"the request allows {count}" in said, (name, status, said)


@then("the lists of Ollama take less than {most:d} ms")
def quick(context: Context, most: int) -> None:
    least = protocol_errors.least_ms(f"{context.world.queen_url}/api/tags", context.world.key)
    assert least < most, least


@when("Ollama's package pulls {model:S}, streamed, and then {same:S}, whole")
def pulls(context: Context, model: str, same: str) -> None:
    package = _package(context)
    context.progress = package.call_all("pull", model=model, stream=True)
    names = {each["model"] for each in package.call("list")["models"]}
    assert any(model.removeprefix("hf.co/") in name for name in names), names
    context.pulled = package.call("pull", model=same)


@then(
    "the progress grows to the {size:d} bytes of the model, with one digest, and ends with a "
    "success"
)
def progress(context: Context, size: int) -> None:
    first, *_, last = context.progress
    assert (first["status"], last["status"]) == ("pulling manifest", "success"), context.progress
    steps = [each for each in context.progress if "digest" in each]
    assert {(each["digest"], each["total"]) for each in steps} == {(steps[0]["digest"], size)}, (
        steps
    )
    done = [each["completed"] for each in steps]
    assert done == sorted(done) and done[-1] == size, done
    assert context.pulled == {"status": "success"}, context.pulled


@then("{model:S} leaves the memory alone, and the other one stays")
def leaves_alone(context: Context, model: str) -> None:
    package = _package(context)
    for name, keep in ((BUNDLED, -1), (model, -1), (model, 0)):
        package.ask("generate", {"model": name, "prompt": "", "keep_alive": keep})
    assert [each["model"] for each in package.call("ps")["models"]] == [BUNDLED]


@then("{model:S} is found as {names}, made by {owner:w} just now")
def found_as(context: Context, model: str, names: str, owner: str) -> None:
    """In OpenAI's protocol, and in Anthropic's."""
    url, key = context.world.queen_url, bearer(context.world.key)
    for name in names.replace(" and ", ", ").split(", "):
        found = send("GET", f"{url}/v1/models/{name}", key).json
        assert (found["id"], found["owned_by"]) == (model, owner), (name, found)
        assert abs(found["created"] - cluster.now_unix()) < _RECENT_S, found
        other = send("GET", f"{url}/v1/models/{name}", {**key, **_OF_ANTHROPIC}).json
        made = datetime.fromisoformat(other["created_at"]).timestamp()
        assert (other["id"], other["display_name"], made) == (model, model, found["created"]), other


@then("{model:S} is listed by Ollama's package, and after it is deleted it is not")
def deleted(context: Context, model: str) -> None:
    """The Hub's file is the bundled one."""
    package = _package(context)
    listed = {each["model"]: each["digest"] for each in package.call("list")["models"]}
    assert listed[model] == catalog.sha256(bundled_path()), listed
    package.call("delete", model)
    assert model not in {each["model"] for each in package.call("list")["models"]}
