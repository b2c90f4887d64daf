# SPDX-License-Identifier: MIT
# PyTorch's softmax into memory that is there (out=), as Python calls it. Answers compare.py, which
# describes requests and answers: pytorch.py LOGITS RESULTS
import os
import re
import subprocess
import sys
import time

import numpy as np

# Debian's build takes AVX2 when it isn't told otherwise.
if re.search(r"\bavx512dq\b", open("/proc/cpuinfo").read()):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx512"
import torch  # reads the variable

logits = torch.from_numpy(np.fromfile(sys.argv[1], np.float32))
results = torch.zeros_like(logits)
version = subprocess.check_output(
    ["dpkg-query", "-W", "-f", "${Version}", "python3-torch"], text=True
)
runs_with = re.search(r"capability usage: (\w+)", torch.__config__.show()).group(1)
print("PyTorch", version, "with", runs_with, flush=True)

for request in sys.stdin:
    rows, cols, threads, repeats, n_saved = map(int, request.split())
    torch.set_num_threads(threads)
    z, p = (whole[: rows * cols].view(rows, cols) for whole in (logits, results))
    with torch.inference_mode():
        start = time.perf_counter()
        while time.perf_counter() - start < 0.05:
            torch.softmax(z, -1, out=p)
        start = time.perf_counter()
        for _ in range(repeats):
            torch.softmax(z, -1, out=p)
        elapsed = time.perf_counter() - start
    if n_saved:
        results[:n_saved].numpy().tofile(sys.argv[2])
    print(elapsed / repeats / (rows * cols) * 1e9, flush=True)
