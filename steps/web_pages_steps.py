"""Requests as a web page has them sent: to names of its own, from its origin, in its types."""

from behave import then, when
from behave.runner import Context

from harness.watching import key_sweep, known_values, raw_requests
from harness.watching.key_sweep import Route
from harness.watching.raw_requests import bearer
from harness.watching.replies import error_of
from harness.world.http_client import Reply

_WANTED = "Access-Control-Request-Headers"
_ASKS = {
    "Access-Control-Request-Method": "POST",
    _WANTED: "authorization,content-type,x-extra",
    "Access-Control-Request-Private-Network": "true",
}
_PERMISSION = {
    "Access-Control-Allow-Headers": _ASKS[_WANTED],
    "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
    "Access-Control-Allow-Private-Network": "true",
    "Access-Control-Max-Age": "600",
}


def _urls(context: Context) -> dict[str, str]:
    world = context.world
    return {"queen": world.queen_url, "hive": world.hive_url, "worker": context.worker["url"]}


@when(
    "every route of queen, hive and worker is asked with each of these headers, "
    "with the key and without"
)
def asked_with_headers(context: Context) -> None:
    keys = [bearer(context.world.key), {}]
    headers = [{row["header"]: row["value"]} for row in context.table]
    context.replies = [
        (route, header, reply)
        for key in keys
        for header in headers
        for route, reply in key_sweep.ask(_urls(context), {**key, **header})
    ]


@when(
    "each POST of queen, hive and worker is sent with the key, {{}} as its body, "
    "and each of these types"
)
def sent_with_types(context: Context) -> None:
    types = [{"Content-Type": row["type"]} for row in context.table]
    posts = [route for route in key_sweep.routes() if route.method == "POST"]
    context.replies = [
        (route, header, _send(context, route, header)) for header in types for route in posts
    ]


def _send(context: Context, route: Route, header: dict[str, str]) -> Reply:
    headers = {**bearer(context.world.key), **header}
    url = _urls(context)[route.daemon] + route.concrete_path
    return raw_requests.send("POST", url, headers, b"{}")


@then(
    "each answers {status:d} with INVALID_REQUEST, which names the header, its value and a setting "
    "in [auth]"
)
def refused_for_header(context: Context, status: int) -> None:
    _all_refused(context, status)
    hints = {error_of(reply).details.get("hint", "") for _, _, reply in context.replies}
    assert all("[auth]" in hint for hint in hints), hints


@then("each answers {status:d} with INVALID_REQUEST, which names Content-Type and its value")
def refused_for_type(context: Context, status: int) -> None:
    _all_refused(context, status)


def _all_refused(context: Context, status: int) -> None:
    assert len({str(route) for route, _, _ in context.replies}) > 3
    for route, header, reply in context.replies:
        error = error_of(reply)
        found = [(each["field"], each["value"]) for each in error.details["errors"]]
        what = (reply.status, error.code, found)
        assert what == (status, "INVALID_REQUEST", [*header.items()]), (str(route), header, what)


@then("the queen answers {status:d} to each of these")
def answers_to(context: Context, status: int) -> None:
    url = f"{context.world.queen_url}/v2/workers/list"
    for row in context.table:
        told = {name: row[name] for name in ("Host", "Origin") if row[name]}
        given = {name: known_values.expand(context.world, value) for name, value in told.items()}
        reply = raw_requests.send("GET", url, {**bearer(context.world.key), **given})
        assert reply.status == status, (given, reply)


@then("a page from {origin:S} may ask first, without the key, and reads answers and errors")
def page_may(context: Context, origin: str) -> None:
    url = f"{context.world.queen_url}/v1/models"
    asks = {"Origin": origin, **_ASKS}
    first = raw_requests.send("OPTIONS", url, asks)
    assert (first.status, first.body) == (204, b""), first
    permission = {name: first.headers[name] for name in _PERMISSION}
    assert permission == _PERMISSION, first.headers.items()
    for key, status in ((context.world.key, 200), ("wrong", 401)):
        reply = raw_requests.send("GET", url, {"Origin": origin, **bearer(key)})
        found = reply.status, reply.headers["Access-Control-Allow-Origin"]
        assert found == (status, origin), (found, reply)
        told = reply.headers["Access-Control-Expose-Headers"], reply.headers["Vary"]
        assert told == ("Retry-After, X-Correlation-ID, request-id", "Origin"), told
    assert first.headers["Access-Control-Allow-Origin"] == origin, first.headers.items()


@then("a page from {origin:S} may neither ask nor read")
def page_may_not(context: Context, origin: str) -> None:
    url = f"{context.world.queen_url}/v1/models"
    for method in ("OPTIONS", "GET"):
        asks = {"Origin": origin, **_ASKS, **bearer(context.world.key)}
        reply = raw_requests.send(method, url, asks)
        assert reply.status == 403, reply
        named = [name for name in reply.headers if name.lower().startswith("access-control")]
        assert not named, named
