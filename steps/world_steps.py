"""Where a scenario begins and how it ends: settings, files, daemons, processes, secrets."""

import signal
from pathlib import Path

from behave import given, then, when
from behave.runner import Context
from psutil import Process

from harness.breaking.graphics_card import Card, Cards
from harness.breaking.machine_faults import HeldLifeline, occupy_port
from harness.breaking.proxy import Proxy
from harness.watching import catalog, footprint, local_installation, standalone_hive
from harness.watching.systemd import Unit
from harness.world import cluster, processes, settings
from harness.world.processes import alive
from harness.world.run import Run
from harness.world.waiting import wait_until


@given("the environment has {name}={value}")
def environment_has(context: Context, name: str, value: str) -> None:
    context.world.extra_environment[name] = context.world.expand(value)


@given("the setting {name:S} is {value}")
def a_setting(context: Context, name: str, value: str) -> None:
    section, _, key = name.rpartition(".")
    context.world.set(section, key, settings.value_of(context.world.expand(value)))


@given("a config file with the line `{line}`")
def a_config_file(context: Context, line: str) -> None:
    context.world.write_config(line.replace("] ", "]\n"))


@given("HOME is {what}")
def home_is(context: Context, what: str) -> None:
    context.world.make_home_unwritable(what)


@given("a person without root")
def without_root(context: Context) -> None:
    local_installation.without_root(context.world)


@given("{squatter} listens at the {whose} address")
def a_squatter(context: Context, squatter: str, whose: str) -> None:
    world = context.world
    hive = world.hive_address
    addresses = {
        "queen's": world.queen_address,
        "hive's": hive,
        "first worker's": (hive[0], 8001),
    }
    context.squatter = occupy_port(squatter, *addresses[whose])
    world.add_cleanup(context.squatter.close)


@given("units written by `{line}`")
def units_written(context: Context, line: str) -> None:
    run = context.world.start(line)
    assert run.wait(within=30) == 0, run.stderr.text
    context.units = {name: Unit(context.world, name) for name in ("queen-rbee", "rbee-hive")}


@given("graphics cards with {free} MiB free")
@given("a graphics card with {free} MiB free")
def graphics_cards(context: Context, free: str) -> None:
    """Each uses a tenth of its memory."""
    sizes = [int(word) for word in free.replace(" and ", ", ").split(", ")]
    names = [f"NVIDIA GeForce RTX {4060 + 10 * place}, OC" for place in range(len(sizes))]
    made = [Card(name, size * 10 // 9, size) for name, size in zip(names, sizes, strict=True)]
    context.card_list = made
    context.cards = Cards(context.world, made)


@given("a graphics card that does not report its memory")
def card_without_memory(context: Context) -> None:
    """As one that shares the machine's."""
    context.card_list = [Card("NVIDIA GB10", 0, 0)]
    context.cards = Cards(context.world, context.card_list)


@given("{name} in the models folder is a model of {megabytes:d} MB")
def large_in_folder(context: Context, name: str, megabytes: int) -> None:
    catalog.link_file(context.world, context.model_files.sized(megabytes * 1_000_000), name)


@given("the token {token} is where huggingface_hub looks for it")
def token_is_there(context: Context, token: str) -> None:
    context.token_file = context.world.home / ".cache" / "huggingface" / "token"
    context.token_file.parent.mkdir(parents=True)
    context.token_file.write_text(token)


@then("the token {token} is in no command line, environment, output or log")
def token_nowhere(context: Context, token: str) -> None:
    world = context.world
    found = footprint.secret_in_processes(token, world.processes())
    found += footprint.secret_in_files(token, world.root, except_for=context.token_file)
    found += footprint.secret_in_files(token, world.evidence.folder, except_for=context.token_file)
    assert not found, found


@then("no secret is in any command line, environment, output or log")
def no_secret(context: Context) -> None:
    world = context.world
    found = footprint.secret_in_processes(world.key, world.processes())
    found += footprint.secret_in_files(world.key, world.root, except_for=world.key_file)
    found += footprint.secret_in_files(world.key, world.evidence.folder, except_for=world.key_file)
    assert not found, found


@then("nothing was written to the home folder")
def nothing_written(context: Context) -> None:
    found = [path for path in context.world.home.rglob("*") if not path.is_dir()]
    assert found == [context.world.config], found
    assert not Path(context.world.home, ".rbee").exists()


@given("a {program:w} that an operator started")
@when("a {program:w} is started")
def start_daemon(context: Context, program: str) -> None:
    name = {"queen": "queen-rbee", "hive": "rbee-hive"}[program]
    setattr(context, f"{program}_run", context.world.start_daemon(f"{name} daemon"))


@given("a queen and a hive that an operator started")
def start_both(context: Context) -> None:
    start_daemon(context, "hive")
    start_daemon(context, "queen")


@given("programs are started with the umask {umask}")
def set_umask(context: Context, umask: str) -> None:
    context.world.umask = int(umask, 8)


@then("the hive never had more than {megabytes:d} MB in memory")
def hive_memory(context: Context, megabytes: int) -> None:
    assert footprint.most_memory_mb(context.hive_run.pid) <= megabytes


@then("everybody may read the models")
def everybody_reads(context: Context) -> None:
    found = footprint.below(context.world.models)
    assert set(found) == {"lab", "lab/small", "lab/small/small.gguf"}, found
    assert all(mode & 0o044 == 0o044 for mode in found.values()), found


@then("nobody else may write anything in the home folder")
def nobody_writes(context: Context) -> None:
    found = footprint.below(context.world.home)
    open_ones = {path: oct(mode) for path, mode in found.items() if mode & 0o022}
    assert len(found) > 10, found
    assert not open_ones, open_ones


@then("nobody else may read {names} in ~/.rbee")
def nobody_reads(context: Context, names: str) -> None:
    found = footprint.below(context.world.home / ".rbee")
    assert set(names.replace(" and ", ", ").split(", ")) <= set(found), found
    open_ones = {path: oct(mode) for path, mode in found.items() if mode & 0o077}
    assert not open_ones, open_ones


@given("a hive that belongs to another machine's queen")
def foreign_hive(context: Context) -> None:
    """It has that queen's key: this machine's is another one."""
    context.hive_run = standalone_hive.start_owned_hive(context.world)
    context.world.key_file.write_text("another-key-than-theirs\n")


@given("a persistent queen")
def a_persistent_queen(context: Context) -> None:
    run = context.world.start("rbee-keeper daemon start")
    assert run.wait(within=15) == 0, run.stderr.text
    context.world.stop_at_end(cluster.queen_health(context.world))
    context.queen = cluster.process_at(context.world, context.world.queen_url)


@given("a persistent queen, with a worker that has answered once")
def a_warm_worker(context: Context) -> None:
    a_persistent_queen(context)
    asked = {"prompt": "hi", "max_tokens": 2, "ignore_eos": True}
    context.answered_at = cluster.ask(context.world, asked)
    context.world.placeholders["answered at"] = str(context.answered_at)
    context.before = cluster.processes(context.world)
    context.worker = cluster.wait_for_state(context.world, "idle")


@then("the queen that was started is persistent")
def queen_is_persistent(context: Context) -> None:
    health = cluster.queen_health(context.world)
    assert health["lifetime"] == "persistent", health
    context.world.stop_at_end(health)


@given("a proxy between keeper and queen")
def a_proxy(context: Context) -> None:
    world = context.world
    host, port = world.proxy_address
    context.proxy = Proxy(host, port, world.queen_url)
    world.add_cleanup(context.proxy.close)
    world.set("queen", "url", context.proxy.url)


@given("a hive and a queen that an operator started, with a proxy between queen and node")
def a_proxy_to_the_node(context: Context) -> None:
    """The queen finds the hive and its worker at the address of the proxies."""
    world = context.world
    hive, instead = world.hive_address[0], world.proxy_address[0]
    world.set("auth", "hosts", [instead])
    context.hive_run = world.start_daemon("rbee-hive daemon")
    to_hive = context.hive_proxy = Proxy(instead, 9200, world.hive_url)
    world.add_cleanup(to_hive.close)
    to_hive.rename(f"http://{hive}:8001", f"http://{instead}:8001")
    context.proxy = Proxy(instead, 8001, f"http://{hive}:8001")
    world.add_cleanup(context.proxy.close)
    world.set("hive", "host", instead)
    context.queen_run = world.start_daemon("queen-rbee daemon")


@given("the proxy {fault} before {event} number {count:d}")
def the_proxy_breaks(context: Context, fault: str, event: str, count: int) -> None:
    context.proxy.break_task_streams(fault, event, count)


@when("the pids of queen, hive and worker are noted")
def note_the_pids(context: Context) -> None:
    context.before = cluster.processes(context.world)
    context.worker = cluster.only_worker(context.world)


@when("the {program:w} gets {name:w}")
def get_signal(context: Context, program: str, name: str) -> None:
    context.moment = _run_of(context, program).send(signal.Signals[name])


@given("the {program:w} dies of SIGKILL")
@when("the {program:w} dies of SIGKILL")
def die(context: Context, program: str) -> None:
    run = _run_of(context, program)
    run.send(signal.SIGKILL)
    assert run.wait(within=5) == -signal.SIGKILL, run.stderr.text


@then("the {program:w} exits with {code:d}")
def daemon_exits(context: Context, program: str, code: int) -> None:
    run = _run_of(context, program)
    found = run.wait(within=20)
    assert found == code, f"exit code {found}: {run.stderr.text[-2000:]}"


def _run_of(context: Context, program: str) -> Run:
    """The program that the scenario itself started."""
    run: Run = context.run if program == "keeper" else getattr(context, f"{program}_run")
    return run


@given("somebody else holds the lifeline of the {program:w} open")
def hold_open(context: Context, program: str) -> None:
    HeldLifeline(context.world, _process_of(context, program))


@when("the {program:w} is killed")
def kill_one(context: Context, program: str) -> None:
    context.moment = processes.send_sigkill(_process_of(context, program))


@given("the {program:w} hangs")
@when("the {program:w} hangs")
def hang(context: Context, program: str) -> None:
    """Stopped, not killed: it keeps everything and answers nothing."""
    _process_of(context, program).suspend()


@when("the {program:w} goes on")
def goes_on(context: Context, program: str) -> None:
    _process_of(context, program).resume()


def _process_of(context: Context, program: str) -> Process:
    """The noted process, else the one that listens at the program's address."""
    if program == "keeper":
        return Process(context.run.pid)
    noted: dict[str, Process] = context.before if "before" in context else {}
    urls = {"queen": context.world.queen_url, "hive": context.world.hive_url}
    return noted.get(program) or cluster.process_at(context.world, urls[program])


@then("the {roles} are gone after {seconds:d} s")
@then("the {roles} is gone after {seconds:d} s")
def are_gone(context: Context, roles: str, seconds: int) -> None:
    wanted = [context.before[role] for role in roles.replace(" and ", ", ").split(", ")]
    wait_until(
        "them to be gone",
        lambda: [process.pid for process in wanted if alive(process)],
        seconds,
        lambda left: not left,
    )


@then("queen, hive and worker are still the same processes")
def the_same_processes(context: Context) -> None:
    now = cluster.processes(context.world)
    assert now == context.before, (now, context.before)


@then("the queen is gone, and hive and worker are the same processes")
def only_queen_gone(context: Context) -> None:
    assert not alive(context.before["queen"])
    now = cluster.at_work(context.world)
    assert now == {context.before["hive"], context.before["worker"]}, now


@then("nothing was spawned")
def nothing_spawned(context: Context) -> None:
    now = cluster.at_work(context.world)
    assert now == set(context.before.values()), (now, context.before)


@then("nothing else was spawned, and the first task still streams")
def first_task_streams(context: Context) -> None:
    nothing_spawned(context)
    assert context.stream.reading, context.stream.events[-3:]


@then("nothing is running")
def nothing_is_running(context: Context) -> None:
    context.world.wait_for_no_processes(within=0)


@then("nothing is running after {seconds:d} s")
def nothing_after(context: Context, seconds: int) -> None:
    context.world.wait_for_no_processes(within=seconds)
