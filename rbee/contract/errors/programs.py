"""What goes wrong with a program of ours itself."""

from __future__ import annotations

import shlex

from rbee.contract.envelope import RbeeError


class AddressInUse(RbeeError):
    """An address that can't be bound: mostly one that is taken, then `holder` says by whom."""

    code, status, keys = "ADDRESS_IN_USE", None, ("address", "holder")
    says = "{address} is in use."

    @property
    def advice(self) -> str:
        if hint := self.details.get("hint"):
            return str(hint)
        if holder := self.details["holder"]:
            return f"It is held by {holder}: end that, or set another port in the config file."
        return "Choose another one: host and port in the config file, or the daemon's flags."


class ConfigInvalid(RbeeError):
    """A config file, environment variable or flag that says what can't be."""

    code, status, keys, exit_code = "CONFIG_INVALID", None, ("source", "key"), 2
    says = "{source}: {key} is not valid."

    @property
    def advice(self) -> str:
        return str(self.details.get("hint") or "Correct it there.")


class StateNotWritable(RbeeError):
    code, status, keys = "STATE_NOT_WRITABLE", None, ("path", "reason")
    says = "{path} can't be written: {reason}."
    advises = (
        "Mend its permissions, or name another place: HOME for the state, [models] dir for models."
    )

    @property
    def advice(self) -> str:
        return str(self.details.get("hint") or self.advises)


class ProgramFailed(RbeeError):
    """A program that did not come up, or could not do its work; `reason` is what it said last, and
    `hint`, where there is one, the next step."""

    code, status, keys = "PROGRAM_FAILED", 502, ("program", "reason")
    says = "{program} did not start: {reason}"
    advises = "Mend that, then try again; the logs are in ~/.rbee/logs."

    @property
    def advice(self) -> str:
        return str(self.details.get("hint") or self.advises)


class Internal(RbeeError):
    code, status, keys = "INTERNAL", 500, ("correlation_id",)
    says = "An error inside rbee."

    @property
    def advice(self) -> str:
        found = self.details["correlation_id"]
        if not found:
            return ""
        return (
            f"Look for it in the logs: grep -rF {shlex.quote(str(found))} ~/.rbee/logs; or run "
            "the command again with --debug."
        )


class NotOurs(Internal):
    """What answers is no program of rbee, or one that speaks otherwise."""
