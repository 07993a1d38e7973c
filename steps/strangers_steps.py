"""Strangers at a daemon's port: connections without a word, and words that are not HTTP."""

import codecs
import re

from behave import then, when
from behave.runner import Context

from harness.breaking import stranger
from harness.breaking.stranger import Connections
from harness.watching import logs
from harness.watching.replies import error_of
from harness.world import cluster
from harness.world.waiting import wait_until

# Of one log line the newline, and tabs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@when("a stranger opens {count:d} connections to the queen, and sends nothing")
def many_connections(context: Context, count: int) -> None:
    queen = context.world.queen_url
    context.before = {"queen": cluster.process_at(context.world, queen)}
    context.log_before = _log_bytes(context)
    context.strangers = Connections(queen, count)
    context.add_cleanup(context.strangers.close)


@then("the queen has closed some of the stranger's connections, and has at most {most:d}")
def at_most(context: Context, most: int) -> None:
    wait_until("the queen to hang up", context.strangers.open, 10, lambda count: count <= most)
    assert most / 2 < context.strangers.open() <= most, context.strangers.open()


@then("its log has grown by less than {kilobytes:d} KB")
def small_log(context: Context, kilobytes: int) -> None:
    grown = _log_bytes(context) - context.log_before
    assert grown < kilobytes * 1000, grown


def _log_bytes(context: Context) -> int:
    return sum(path.stat().st_size for path in logs.files(context.world.home, "queen-rbee"))


@when("queen, hive and worker are each sent these bytes")
def sent_bytes(context: Context) -> None:
    world = context.world
    sent = [codecs.escape_decode(row["bytes"].encode())[0] for row in context.table]
    context.answers = [
        (url, text, stranger.say(url, text))
        for url in (world.queen_url, world.hive_url, context.worker["url"])
        for text in sent
    ]


@then("each is refused with INVALID_REQUEST and a status of {one:d} or {other:d}, in JSON")
def refused_in_json(context: Context, one: int, other: int) -> None:
    for url, text, answer in context.answers:
        reply = stranger.reply_of(answer)
        error = error_of(reply)
        assert reply.status in (one, other), (url, text, answer)
        assert error.code == "INVALID_REQUEST", (url, text, answer)
        assert reply.headers.get_content_type() == "application/json", (url, text, answer)


@then("no log has a traceback, or a control character")
def clean_logs(context: Context) -> None:
    found = list(logs.folder(context.world.home).glob("*.log"))
    assert len(found) >= 3, found
    for path in found:
        text = path.read_text()
        assert "Traceback" not in text, text
        assert not _CONTROL.search(text), path
