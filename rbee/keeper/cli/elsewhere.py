"""What other programs call what rbee does differently, and what to type instead."""

from __future__ import annotations

_ALIASES = (
    "A name for a model is an alias of the config file, [models] aliases: rbee-keeper config show"
)
_NO_MODELFILE = (
    "rbee has no Modelfile: rbee-keeper show MODEL prints what is known of a model, and what a "
    "Modelfile would set are flags of rbee-keeper infer"
)
_MODEL_FIRST = "The model comes first: rbee-keeper run MODEL"
_PROMPT_AFTER_MODEL = 'The prompt comes after the model: rbee-keeper run MODEL "PROMPT"'

COMMANDS = {
    "create": _ALIASES,
    "cp": _ALIASES,
    "edit": "Settings are in the config file: rbee-keeper help config",
    "push": "Models are published with the Hub's own program: hf upload",
    "signin": "The Hub's own program keeps the token: hf auth login",
    "signout": "The Hub's own program keeps the token: hf auth logout",
    "load": "Load a model before the first question: rbee-keeper worker start MODEL",
    "unload": "Free a model's memory: rbee-keeper stop MODEL",
    "remove": "Delete a model: rbee-keeper rm MODEL",
    "delete": "Delete a model: rbee-keeper rm MODEL",
    "download": "Download a model: rbee-keeper pull MODEL",
    "info": "Describe a model: rbee-keeper show MODEL",
    "server": "Run a queen in this terminal: rbee-keeper serve",
    "upgrade": "See what is new: rbee-keeper update",
}
_SHOW = ("--modelfile", "--parameters", "--template", "--system", "--license")
OPTIONS = {
    **{("show", option): _NO_MODELFILE for option in _SHOW},
    ("run", "--nowordwrap"): "Words are not wrapped in a pipe: add | cat",
    ("run", "--hidethinking"): "Only the answer goes to standard output: add 2>/dev/null",
    ("run", "--insecure"): "A mirror of the Hub is named in HF_ENDPOINT",
    ("pull", "--insecure"): "A mirror of the Hub is named in HF_ENDPOINT",
    ("run", "--model"): _MODEL_FIRST,
    ("chat", "--model"): "The model comes first: rbee-keeper chat MODEL",
    **{
        (verb, flag): _PROMPT_AFTER_MODEL for verb in ("run", "chat") for flag in ("--prompt", "-p")
    },
}
