"""HTTPS: certificates, the names that they are for, and the CAs that clients trust."""

import json
from datetime import UTC, datetime, timedelta

from behave import given, then, when
from behave.runner import Context

from harness.breaking.stale_certificates import StaleServer
from harness.watching import https, keeper_output


@then("it made these files in ~/.rbee, and named certificate and key in the config file")
def made_files(context: Context) -> None:
    """What it prints as JSON names them, too."""
    world = context.world
    folder = world.home / ".rbee"
    wanted = {row["file"]: row["mode"] for row in context.table}
    assert {name: https.mode_of(world, name) for name in wanted} == wanted
    made = json.loads(context.run.stdout.text)
    named = {"tls_cert": str(folder / "queen.pem"), "tls_key": str(folder / "queen-key.pem")}
    assert {"tls_cert": made["cert"], "tls_key": made["key"]} == named, made
    assert (made["ca"], made["ca_is_new"]) == (str(folder / "ca.pem"), True), made
    assert made["config"] == str(world.config), made
    assert made["ca_fingerprint"] == https.fingerprint_of(folder / "ca.pem"), made
    context.made = made
    assert https.names_of_this_machine() <= set(made["names"]), made
    found = https.configured(world)
    assert {key: found.get(key) for key in named} == named, found
    assert found["host"] == world.queen_address[0], found


@then("over HTTPS the queen answers to each of these names, with a certificate for {days:d} days")
def answers_by_name(context: Context, days: int) -> None:
    for row in context.table:
        found = https.ask(context.world, context.world.expand(row["name"]))
        assert found.health and found.health["pid"] == context.run.pid, (row["name"], found)
        assert days - 1 < found.days <= days, found
        assert context.world.expand(row["name"]) in context.made["names"], context.made
    until = datetime.now(UTC) + timedelta(days=found.days)
    assert context.made["until"] == f"{until:%Y-%m-%d}", (context.made, until)


@then("its certificate is for {days:d} days")
def valid_for(context: Context, days: int) -> None:
    found = https.ask(context.world, "localhost")
    assert days - 1 < found.days <= days, found


@then("over HTTPS nobody answers to the name {name:S}")
def answers_nobody(context: Context, name: str) -> None:
    found = https.ask(context.world, name)
    assert "mismatch" in found.refused, found


@given("a server at {host} with a certificate of that CA that {when}, at <{port}>")
def stale_server(context: Context, host: str, when: str, port: str) -> None:
    world = context.world
    days = {"ended yesterday": -2, "begins tomorrow": 1}[when]
    server = StaleServer(world.expand(host), world.home / ".rbee", days)
    world.add_cleanup(server.close)
    world.placeholders[port] = str(server.port)


@when("I run `{line}` in each of these environments")
def run_in_each(context: Context, line: str) -> None:
    world = context.world
    world.placeholders["a CA of somebody else"] = str(https.somebody_elses_ca(world))
    context.tries = []
    for row in context.table:
        name, _, value = world.expand(row["variable"]).partition("=")
        world.extra_environment[name] = value
        run = world.start(line)
        run.wait(within=30)
        del world.extra_environment[name]
        context.tries.append((row, run))


@then("each fails with a clear message that says so, and with that next step")
def each_says(context: Context) -> None:
    for row, run in context.tries:
        text = run.stderr.text
        assert run.wait(within=1) in {1, 2} and "Traceback" not in text, text
        assert context.world.expand(row["says"]) in text, text
        steps = keeper_output.next_steps(text)
        assert any(context.world.expand(row["next step"]) in each for each in steps), text


@given("the CA is noted")
def note_authority(context: Context) -> None:
    context.authority = https.ca_of(context.world).read_text()


@then("the queen shows the new certificate, of {whose} CA, within {seconds:d} s")
def shows_new(context: Context, whose: str, seconds: int) -> None:
    """A client that trusts the CA on disk accepts it: a new CA signs what the old one did not."""
    https.wait_for_certificate_on_disk(context.world, seconds)
    is_same = https.ca_of(context.world).read_text() == context.authority
    assert is_same == (whose == "the same"), whose
