"""The part of an installation that runs on the node: sent as text, run by the Python found there.

So it is for Python 3.11 and the standard library alone. Paths and addresses come as arguments, and
no shell sees them. Its answer is the last line on standard output, in JSON; what git and pip say
goes to standard error. It is packed: small SSH servers take commands of 9000 bytes at most.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

# A module before those that import it.
_MODULES = ("running", "clone", "facts", "environment", "program")
_LOADER = """
import base64, json, sys, types, zlib
package = types.ModuleType("on_node")
package.__path__ = []
sys.modules["on_node"] = package
for name, text in json.loads(zlib.decompress(base64.b64decode(sys.argv[1]))).items():
    module = types.ModuleType("on_node." + name)
    module.__package__ = "on_node"
    sys.modules[module.__name__] = module
    exec(compile(text, name + ".py", "exec"), module.__dict__)
sys.exit(module.main(*sys.argv[2:]))
"""


def words() -> list[str]:
    """The arguments of a Python that shall run this; those of `program.main` follow them."""
    here = Path(__file__).parent
    texts = {name: (here / f"{name}.py").read_text(encoding="utf-8") for name in _MODULES}
    packed = zlib.compress(json.dumps(texts).encode(), level=9)
    return ["-I", "-c", _LOADER, base64.b64encode(packed).decode()]
