"""Other people's packages as they are used where environment variables say where to ask."""

import shlex
import sys
from collections.abc import Sequence

from harness.world.run import Run
from harness.world.world import World

_QUEEN = "http://127.0.0.1:8080"
_SAID = 'model="smollm2", messages=[{"role": "user", "content": "Name a color."}]'
_PROGRAMS = {
    "OPENAI": f"""
from openai import OpenAI
chats = OpenAI(max_retries=0).chat.completions
print(chats.create({_SAID}, max_tokens=4).choices[0].message.content)
""",
    "ANTHROPIC": f"""
from anthropic import Anthropic
print(Anthropic(max_retries=0).messages.create({_SAID}, max_tokens=4).content[0].text)
""",
    "OLLAMA": f"""
import ollama
print(ollama.chat({_SAID}, options={{"num_predict": 4}}).message.content)
""",
}
_WITHIN_S = 60


def ask(world: World, exported: Sequence[str]) -> dict[str, Run]:
    """A question by each package, in a shell where the line for it was typed. The address in it is
    that of this world's queen."""
    lines = [line.replace(_QUEEN, world.queen_url) for line in exported]
    found = {}
    for name, program in _PROGRAMS.items():
        [line] = [each for each in lines if each.startswith(f"export {name}_")]
        command = f"{line}\n{shlex.join([sys.executable, '-c', program])}"
        found[name] = world.start("bash -c", more=[command])
    for run in found.values():
        run.wait(_WITHIN_S)
    return found
