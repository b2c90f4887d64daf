#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Softmax of f32 rows beside others: asks all contestants in turn and writes the table.

    bench/peers/run [--json]     installs and builds what this needs, then starts it

Each contestant is a process of its own, PEER LOGITS RESULTS. It reads the file of logits, prints
its name as a line, and then answers each line

    rows columns threads repeats saved

by the nanoseconds that an element took, on average over `repeats` runs of softmax over the first
rows x columns logits. Runs for a twentieth of a second come first, untimed: threads are given their
processors, and those of the contestant before, which wait for work in a loop, go to sleep. `saved`
results are left in the file RESULTS. A turn asks all contestants about all shapes, one after the
other, so that noise hits all alike; the table has the medians of the turns.
"""
import json
import statistics
import subprocess
import sys

import numpy as np

import document

BUILD = "build/release/peers"
PEERS = {
    "copy": [f"{BUILD}/copy"],
    "tempera": [f"{BUILD}/tempera"],
    "oneDNN": [f"{BUILD}/onednn"],
    "SLEEF": [f"{BUILD}/sleef"],
    "PyTorch": ["/usr/bin/python3", "bench/peers/pytorch.py"],
    "ONNX Runtime": ["node", "bench/peers/onnxruntime.mjs"],
}
SHAPES = [(1, 128256), (1, 1024), (1024, 1024), (4096, 64), (64, 128256), (4096, 4096)]
TURNS = 21

LOGITS, RESULTS = f"{BUILD}/logits", f"{BUILD}/results"


class Peer:
    def __init__(self, command):
        self.process = subprocess.Popen(
            [*command, LOGITS, RESULTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = self.process.stdout.readline().strip()

    def ask(self, rows, cols, threads, saved=0):
        repeats = 4 + 4_000_000 // (rows * cols)
        print(rows, cols, threads, repeats, saved, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def start_peers():
    """Those that start, and the names of those that don't."""
    peers, absent = [], []
    for name, command in PEERS.items():
        try:
            peer = Peer(command)
        except FileNotFoundError:
            peer = None
        if peer and peer.name:
            peers.append(peer)
        else:
            absent.append(name)
    return peers, absent


def largest_error(z, p):
    """In ulp, of rows of results, beside their softmax in long double."""
    z = z.astype(np.longdouble)
    exact = np.exp(z - z.max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    ulp = np.ldexp(np.longdouble(1), np.frexp(exact)[1] - 24)
    return float((abs(p - exact) / ulp).max())


def errors_of(peers, logits, rows, cols, threads):
    """Of each contestant the largest error among the first 128256 results or so."""
    checked = min(rows, max(1, 128256 // cols)) * cols
    z = logits[:checked].reshape(-1, cols)
    errors = []
    for peer in peers:
        peer.ask(rows, cols, threads, checked)
        errors.append(largest_error(z, np.fromfile(RESULTS, np.float32).reshape(-1, cols)))
    return errors


def measure(peers, logits):
    """For each setting, a list of what is known of each contestant."""
    settings = [(rows, cols, threads) for threads in (1, 2) for rows, cols in SHAPES]
    errors = [errors_of(peers, logits, *setting) for setting in settings]
    times = [[[] for _ in peers] for _ in settings]
    for _ in range(TURNS):
        for setting, of_setting in zip(settings, times):
            for peer, of_peer in zip(peers, of_setting):
                of_peer.append(peer.ask(*setting))
    return [
        [
            {"rows": rows, "cols": cols, "threads": threads, "name": peer.name,
             "ns_per_element": statistics.median(of_peer),
             "max_ulp": None if peer.name == "copy" else error}
            for peer, of_peer, error in zip(peers, of_setting, of_errors)
        ]
        for (rows, cols, threads), of_setting, of_errors in zip(settings, times, errors)
    ]


def table_row(results):
    copy, ours, *others = results
    cells = [
        f"{ours['rows']} x {ours['cols']}",
        f"{ours['threads']}",
        f"{copy['ns_per_element']:.3f}",
        f"**{ours['ns_per_element']:.3f}** ({ours['max_ulp']:.1f} ulp)",
    ]
    for other in others:
        ratio = other["ns_per_element"] / ours["ns_per_element"]
        cells.append(
            f"{other['ns_per_element']:.3f}, {ratio:.2f} times ({other['max_ulp']:.0f} ulp)"
        )
    return "| " + " | ".join(cells) + " |"


def main():
    as_json = sys.argv[1:] == ["--json"]
    logits = np.random.default_rng(1).normal(0, 3, max(r * c for r, c in SHAPES))
    logits = logits.astype(np.float32)
    logits.tofile(LOGITS)
    peers, absent = start_peers()
    names = [peer.name for peer in peers]
    if names[:2] != ["copy", "tempera"]:
        sys.exit("compare.py: no tempera to compare with: start bench/peers/run")

    results = measure(peers, logits)
    if as_json:
        print(*(json.dumps(one) for of_setting in results for one in of_setting), sep="\n")
        return
    lines = [
        document.machine(),
        "",
        f"| rows x columns | threads | {' | '.join(names)} |",
        "|---" * (2 + len(names)) + "|",
        *map(table_row, results),
    ]
    if absent:
        lines += ["", f"Absent here: {', '.join(absent)}."]
    print(*lines, sep="\n")
    document.write("bench/peers/run", lines)


main()
