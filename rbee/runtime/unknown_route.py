"""What to say of a path or a method that no route is for: the route that was probably meant."""

from __future__ import annotations

from collections.abc import Collection

from rbee.contract.errors import NotFound

# A longer path is no typing error, and would take long to compare.
_LONGEST = 128
_ALIKE = 0.75
_LIST = "The routes are listed in docs/reference/http.md."


def nearest(path: str, routes: Collection[str]) -> str | None:
    """The one of the paths `routes` that is most like `path`; None if none is like it."""
    if len(path) > _LONGEST:
        return None
    import difflib  # it takes as long as ten requests

    wanted = path.lower().rstrip("/")
    return next(iter(difflib.get_close_matches(wanted, routes, n=1, cutoff=_ALIKE)), None)


def unknown_route(
    method: str, path: str, allowed: Collection[str], meant: str | None, methods: Collection[str]
) -> NotFound:
    """The error for `method` and `path`, if the path takes only the methods `allowed`, or none. It
    may have `meant` a path that takes `methods`."""
    hint = f"Use {' or '.join(_shown(allowed))}."
    if not allowed:
        ways = [f"{each} {meant}" for each in _shown(methods)]
        hint = f"Did you mean {' or '.join(ways)}?" if ways else _LIST
    message = f"There is no route {method} {path}"
    return NotFound.of("path", "a route of this program", message, path, hint)


def _shown(methods: Collection[str]) -> list[str]:
    """HEAD is wherever GET is."""
    return sorted(set(methods) - {"HEAD"})
