# SPDX-License-Identifier: MIT
"""PyTorch's cross-entropy, and that after a linear layer: a line of JSON for each, as tempera-bench
loss and linear-loss print them."""
import json
import os
import re
import resource
import statistics
import time

# Debian's build takes AVX2 when it isn't told otherwise.
if re.search(r"\bavx512dq\b", open("/proc/cpuinfo").read()):
    os.environ["ATEN_CPU_CAPABILITY"] = "avx512"
import torch  # reads the variable
from torch.nn.functional import cross_entropy

ROWS, DIM, TURNS = 512, 768, 7


def seconds(run):
    times = []
    for turn in range(TURNS + 1):  # the first is no turn
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def of_linear(cols, threads):
    torch.set_num_threads(threads)
    hidden = torch.randn(ROWS, DIM, requires_grad=True)
    head = torch.randn(cols, DIM).div_(DIM**0.5).requires_grad_()
    targets = torch.arange(ROWS) * 7919 % cols

    def run():
        hidden.grad = head.grad = None
        cross_entropy(hidden @ head.T, targets).backward()

    before = peak_memory()
    run()
    beyond = peak_memory() - before - 4 * (hidden.numel() + head.numel())
    print(json.dumps({"what": "linear", "cols": cols, "threads": threads,
                      "ms": seconds(run) * 1e3, "nbytes": beyond}))


def of_loss(cols, threads):
    torch.set_num_threads(threads)
    logits = (torch.randn(ROWS, cols) * 3).requires_grad_()
    targets = torch.arange(ROWS) * 7919 % cols

    def forward():
        with torch.no_grad():
            cross_entropy(logits, targets)

    def both():
        logits.grad = None
        cross_entropy(logits, targets).backward()

    for what, run in (("forward", forward), ("forward+backward", both)):
        print(json.dumps({"what": what, "cols": cols, "threads": threads,
                          "ns_per_element": seconds(run) / (ROWS * cols) * 1e9}))


of_linear(50257, 2)  # alone with two threads: its products take as many as they like
for n_threads in (1, 2):
    for n_cols in (50257, 128256):
        of_loss(n_cols, n_threads)
