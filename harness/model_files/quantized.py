"""One model in several quantizations, made with llama.cpp's own quantizer.

Run as `python -m harness.model_files.quantized`, in a process of its own, since llama.cpp talks
while it works.
"""

import os
import subprocess
import sys
from pathlib import Path

from gguf import LlamaFileType


def make(source: Path, target: Path, quantization: str) -> None:
    """`quantization` as in Q4_K_M; a second for a small model."""
    argv = [
        sys.executable,
        "-m",
        "harness.model_files.quantized",
        str(source),
        str(target),
        quantization,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stderr[-1000:]}"


def main(source: str, target: str, quantization: str) -> int:
    from llama_cpp import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    # The source is Q4_1 itself: what comes of it is no better, but it is a true Q8_0.
    params.allow_requantize = True
    params.ftype = int(LlamaFileType[f"MOSTLY_{quantization}"])
    params.nthread = os.cpu_count() or 1
    return int(llama_cpp.llama_model_quantize(source.encode(), target.encode(), params))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
