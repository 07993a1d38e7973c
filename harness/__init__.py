"""Boots the real programs, breaks things around them, watches from outside, and cleans up.

It never imports the product: it is the second opinion on what the programs say.

world/        what one scenario has for itself: HOME, network, settings, programs
hub/          a server in the place of huggingface.co
ssh/          other machines, reached over SSH
model_files/  GGUF files, good and broken
watching/     what the programs print, log, store and hold, as seen from outside
breaking/     whatever goes wrong around them
running/      the whole specification, in parallel parts
hooks.py      behave's hooks
__main__.py   python -m harness
"""
