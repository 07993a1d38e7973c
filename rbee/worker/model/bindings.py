"""llama-cpp-python's low-level bindings, as `C`, without the half of the package above them.

`import llama_cpp` also imports the package's own classes, and with them NumPy, Jinja and a cache on
disk: a tenth of a second for what rbee never uses. So the bindings are imported into an empty
package, which is taken away again: whoever imports `llama_cpp` later gets the real one, over the
same bindings.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

# Otherwise llama.cpp starts gdb on itself when it aborts.
os.environ.setdefault("GGML_NO_BACKTRACE", "1")
# Otherwise CUDA puts the fastest card first, and its numbers are not those of nvidia-smi.
os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
# Otherwise threads that wait for one that the system has put aside take the processor from it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_PACKAGE = "llama_cpp"
_BINDINGS = "llama_cpp.llama_cpp"


def _bindings() -> Any:
    if _PACKAGE not in sys.modules and (spec := importlib.util.find_spec(_PACKAGE)):
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
        try:
            return importlib.import_module(_BINDINGS)
        except Exception:
            # They may need their package: the plain import shows it, or says what is wrong.
            for name in [name for name in sys.modules if name.startswith(f"{_PACKAGE}.")]:
                del sys.modules[name]
        finally:
            del sys.modules[_PACKAGE]
    return importlib.import_module(_BINDINGS)


C = _bindings()
