"""The routes of a daemon in protocols that are not ours: made when a request first needs them, each
with its own way to tell errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from rbee.contract.errors import RbeeError
from rbee.runtime.light_aiohttp import web

Handle: TypeAlias = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]
# The body of an error, from it and its status.
Refuse: TypeAlias = Callable[[RbeeError, int], object]


class Below(msgspec.Struct, frozen=True):
    """Paths that begin with `prefix`, of requests that have the header `header` if it is not "":
    how they are refused, and which header of the answer has the correlation id, if one has."""

    prefix: str
    header: str
    refuse: Refuse
    id_header: str = ""

    def takes(self, request: web.Request, path: str) -> bool:
        return path.startswith(self.prefix) and (not self.header or self.header in request.headers)


class ForeignRoutes(web.DynamicResource):
    """They are in `router`, and this is what aiohttp asks about each request that none of the
    daemon's own routes is for."""

    def __init__(self) -> None:
        super().__init__("/{path:.*}")
        self.router = web.UrlDispatcher()
        self._make: Callable[[], None] | None = None
        self._refuse: dict[str, Refuse] = {}
        self._below: list[Below] = []
        self._instead: dict[str, tuple[str, Handle]] = {}

    def later(self, make: Callable[[], None]) -> None:
        """Have the routes made by `make`, which is called once."""
        self._make = make

    def make(self) -> None:
        """Make the routes now, if they are not there yet. Raises what goes wrong; the next request
        tries again."""
        if self._make is not None:
            self._make()
            self._make = None

    async def resolve(
        self, request: web.Request
    ) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        self.make()
        found = await self.router.resolve(request)
        if found.http_exception is None:
            return found, set()
        wrong = found.http_exception
        return None, wrong.allowed_methods if isinstance(wrong, web.HTTPMethodNotAllowed) else set()

    def refuse(self, path: str, refuse: Refuse) -> None:
        """Errors of the route of this path are told by `refuse`."""
        self._refuse[path] = refuse

    def below(self, paths: Below) -> None:
        """The longest prefix counts, and one with a header more than any without."""
        self._below.append(paths)

    def instead(self, path: str, header: str, handler: Handle) -> None:
        """Requests with this header for a route's path are answered by `handler`."""
        self._instead[path] = header, handler

    def handler(self, request: web.Request, path: str, usual: Handle) -> Handle:
        """What answers a request for the route of this path."""
        header, other = self._instead.get(path, ("", usual))
        return other if header in request.headers else usual

    def refusal(self, request: web.Request, meant: str | None) -> Refuse | None:
        """How an error is told to this request, if not in our way. If no route is for it, `meant`
        is the path of a route that it may have meant."""
        resource = request.match_info.route.resource
        path = request.path if resource is None else resource.canonical
        below = [each for each in self._below if each.takes(request, path)]
        named = (each.refuse for each in below if each.header)
        refuse = next(named, None) or self._refuse.get(path)
        if refuse is not None or resource is not None:
            return refuse
        nearest = max(below, key=lambda each: len(each.prefix), default=None)
        if meant is not None and (nearest is None or meant.startswith(nearest.prefix)):
            return self._refuse.get(meant)
        return None if nearest is None else nearest.refuse

    def id_headers(self, request: web.Request) -> set[str]:
        """The headers of the answer that have the correlation id beside our own."""
        return {
            each.id_header
            for each in self._below
            if each.id_header and each.takes(request, request.path)
        }
