"""What the holder of a key may ask for, and what it gets to see."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from rbee.contract.config import ModelsSection
from rbee.contract.errors import ModelNotAllowed, RbeeError, WrongRole
from rbee.contract.keys import CreateKey
from rbee.contract.model_ref import ModelRef, parse
from rbee.contract.models import NodeModelRows
from rbee.contract.workers import NodeWorkerRow
from rbee.queen.keys.allowed_models import Verdict, judge, named_by_operator
from rbee.runtime.keyring import Caller


class Access:
    """Decides with the models that are configured: a default, and aliases."""

    def __init__(self, models: ModelsSection) -> None:
        self._models = models

    def whole(self, asked: CreateKey) -> CreateKey:
        """The same, with each model by its whole reference: what an alias means may change. Raises
        INVALID_MODEL_REF."""
        models = [str(parse(name, self._models.aliases)) for name in asked.models]
        return replace(asked, models=models)

    def judge(self, who: Caller, model: ModelRef) -> Verdict:
        """Whether `who` may use `model`."""
        if who.models:
            return judge(model, map(parse, who.models))
        if who.role == "manage" or named_by_operator(model, self._configured()):
            return "yes"
        return "no"

    def check(self, who: Caller, model: ModelRef, force: bool, is_named: bool = True) -> None:
        """Raises MODEL_NOT_ALLOWED, and WRONG_ROLE for a request to load a model although it may
        not fit: that can end what others run. Unless the model `is_named` by the client, it is the
        default, and what that is, is not told."""
        if self.judge(who, model) == "no":
            shown = self._shown(model, is_named)
            raise ModelNotAllowed(key=who.name, model=shown, allowed=list(who.models))
        if force and who.role == "use":
            raise WrongRole(
                f"Loading a model that may not fit (--force) needs the role manage; the key "
                f"{who.name} has the role use.",
                key=who.name,
                role=who.role,
                required="manage",
            )

    def models(self, who: Caller, found: NodeModelRows) -> NodeModelRows:
        """What of a listing `who` may see."""
        if who.role == "manage":
            return found
        rows = [row for row in found.models if self.sees(who, row.reference)]
        # The notes are about any model.
        return replace(found, models=rows, notes=[])

    def workers(self, who: Caller, found: list[NodeWorkerRow]) -> list[NodeWorkerRow]:
        """Those whose model `who` may use."""
        if who.role == "manage":
            return found
        return [row for row in found if self.sees(who, row.model_ref)]

    def sees(self, who: Caller, name: str) -> bool:
        """Whether a list shows `who` the model of this reference or alias."""
        try:
            return self.judge(who, parse(name, self._models.aliases)) == "yes"
        except RbeeError:  # nothing that one could ask for
            return False

    def _shown(self, model: ModelRef, is_named: bool) -> str:
        """A model, to a client that may not use it: what the operator has put behind the default,
        or which file behind an alias, is not told to it."""
        for name, configured in self._named():
            if model != configured:
                continue
            if name is None and not is_named:
                return "the default model"
            if name is not None and model.scheme == "file":
                return name
        return str(model)

    def _configured(self) -> Iterable[ModelRef]:
        """What the operator has named."""
        return (model for _, model in self._named())

    def _named(self) -> Iterable[tuple[str | None, ModelRef]]:
        """The models of the operator by their aliases, and first the default, by None."""
        for alias, name in ((None, self._models.default), *self._models.aliases.items()):
            try:
                if name is not None:
                    yield alias, parse(name, self._models.aliases)
            except RbeeError:
                continue  # who asks for it is told
