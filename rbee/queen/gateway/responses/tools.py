"""The functions of a request: flat, or in namespaces. Tools of other kinds are ignored.

A model knows no namespaces. It is told of a function by its own name, or by both names where two
functions have the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rbee.contract.errors import InvalidRequest
from rbee.contract.responses import (
    FunctionTool,
    NamespaceTool,
    ResponseTool,
    ResponseToolChoice,
)

_FUNCTION, _NAMESPACE = "function", "namespace"


class _Place(NamedTuple):
    """A function of the request, where it stands there, and in which namespace."""

    field: str
    tool: ResponseTool
    namespace: str | None


class Tools:
    """The functions of the request's `tools`. Raises INVALID_REQUEST for one without a name."""

    def __init__(self, tools: Sequence[ResponseTool]) -> None:
        self._tools = tools
        self._by_name: dict[str, _Place] = {}
        self._shown: dict[tuple[str, str | None], str] = {}
        self._offered: list[str] = []
        for place in _places("tools", tools, None):
            name = own = place.tool.name or ""
            if place.namespace is not None and name in self._by_name:
                name = f"{place.namespace}.{own}"
            if not own or name in self._by_name:
                message = "Expected functions with different names"
                raise InvalidRequest.of(f"{place.field}.name", "a name of its own", message, own)
            self._by_name[name] = place
            self._shown[own, place.namespace] = name

    def shown_name(self, name: str, namespace: str | None) -> str:
        """By which name the model knows a function, which need not be there any more."""
        return self._shown.get((name, namespace), name)

    def own_name(self, name: str) -> tuple[str, str | None]:
        """The name and the namespace of the function that the model knows by this name."""
        place = self._by_name.get(name)
        return (name, None) if place is None else (place.tool.name or "", place.namespace)

    def field(self, index: int) -> str:
        """Where the request has the function that is the task's tool `index`."""
        return self._by_name[self._offered[index]].field if index < len(self._offered) else "tools"

    def of_task(self, choice: str | ResponseToolChoice | None) -> dict[str, Any]:
        """The fields of a task. Raises INVALID_REQUEST for a choice of a tool that is not there."""
        names, chosen = [*self._by_name], choice
        if isinstance(choice, ResponseToolChoice):
            names, chosen = self._chosen(choice)
        self._offered = names
        fields: dict[str, Any] = {"tools": [self._told(name) for name in names]} if names else {}
        if isinstance(chosen, ResponseToolChoice):
            fields["tool_choice"] = {"type": _FUNCTION, "function": {"name": chosen.name}}
        elif chosen is not None:
            fields["tool_choice"] = chosen
        return fields

    def reply(self) -> list[FunctionTool | NamespaceTool]:
        """As the reply repeats them."""
        return [each for tool in self._tools if (each := _repeated(tool)) is not None]

    def _chosen(
        self, choice: ResponseToolChoice
    ) -> tuple[list[str], str | ResponseToolChoice | None]:
        """The functions that may be called, and the choice among them."""
        names = [*self._by_name]
        if choice.type == _FUNCTION and choice.name in names:
            return names, choice
        if choice.type == "allowed_tools":
            allowed = {tool.name for tool in choice.tools or ()}
            wanted = [
                name
                for name, place in self._by_name.items()
                if name in allowed or place.namespace in allowed
            ]
            return wanted, choice.mode or "auto"
        given = choice.name if choice.type == _FUNCTION else choice.type
        message = "Expected the name of one of the functions"
        raise InvalidRequest.of("tool_choice", "one of the functions", message, given)

    def _told(self, name: str) -> dict[str, Any]:
        tool = self._by_name[name].tool
        function: dict[str, Any] = {"name": name, "parameters": tool.parameters or {}}
        if tool.description is not None:
            function["description"] = tool.description
        if tool.strict is not None:
            function["strict"] = tool.strict
        return {"type": _FUNCTION, "function": function}


def _places(field: str, tools: Sequence[ResponseTool], namespace: str | None) -> Iterator[_Place]:
    for at, tool in enumerate(tools):
        where = f"{field}[{at}]"
        if tool.type == _FUNCTION:
            yield _Place(where, tool, namespace)
        elif tool.type == _NAMESPACE and namespace is None:
            yield from _places(f"{where}.tools", tool.tools or (), tool.name or "")


def _repeated(tool: ResponseTool) -> FunctionTool | NamespaceTool | None:
    if tool.type == _NAMESPACE:
        inside = [each for one in tool.tools or () if (each := _function(one)) is not None]
        return NamespaceTool(tool.name or "", tool.description or "", inside)
    return _function(tool)


def _function(tool: ResponseTool) -> FunctionTool | None:
    if tool.type != _FUNCTION:
        return None
    return FunctionTool(tool.name or "", tool.description, tool.parameters or {}, tool.strict)
