#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The sampler beside llama.cpp's: runs both programs in turn and writes the table.

    bench/peers/sampler LLAMA_CPP_DIR [--json]     builds what this needs, then starts it

Both print a line of JSON for each row of scores and chain, with the median time of a token. The
table has the medians of the rounds, and the ratio's smallest and largest over the rounds.
"""
import json
import statistics
import subprocess
import sys

import document

OURS = ["build/release/bin/tempera-bench", "sampler", "--json"]
THEIRS = ["build/release/peers/llama_sampler"]
ROUNDS = 9
WORDS = {
    "greedy": "greedy",
    "default": "top-k 40, top-p 0.95, min-p 0.05, T 0.8",
    "default-penalties": "the same behind penalties over 64",
    "temperature": "T 0.8",
    "min-p": "min-p 0.05, T 0.8",
    "top-p": "top-p 0.95, T 0.8",
    "typical": "typical 0.95, T 0.8",
    "top-n-sigma": "top-n-sigma 1, T 0.8",
    "mirostat-2": "T 0.8, mirostat 2",
}


def times(command):
    """{(logits, chain): ns} of one run."""
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [json.loads(line) for line in output.splitlines()]
    return {(line["logits"], line["chain"]): line["ns"] for line in lines}


def measure():
    """For each row and chain that both have, what is known of it."""
    rounds = [(times(OURS), times(THEIRS)) for _ in range(ROUNDS)]
    settings = [key for key in rounds[0][1] if key in rounds[0][0]]
    results = []
    for key in settings:
        ratios = [theirs[key] / ours[key] for ours, theirs in rounds]
        results.append({
            "logits": key[0],
            "chain": key[1],
            "ns": statistics.median(ours[key] for ours, _ in rounds),
            "llama_cpp_ns": statistics.median(theirs[key] for _, theirs in rounds),
            "times": statistics.median(ratios),
            "least_times": min(ratios),
            "most_times": max(ratios),
        })
    floors = {
        row: statistics.median(ours[row, "floor: reading"] for ours, _ in rounds)
        for row in ("normal", "peaked")
    }
    return results, floors


def short(x):
    """Two digits at least."""
    return f"{x:.1f}" if x < 10 else f"{x:.0f}"


def cells(result):
    us, theirs = result["ns"] / 1000, result["llama_cpp_ns"] / 1000
    least, most = short(result["least_times"]), short(result["most_times"])
    return (
        f"**{us:.1f}** | {theirs:.0f} | {short(result['times'])} times ({least} to {most})"
    )


def main():
    results, floors = measure()
    if sys.argv[1:] == ["--json"]:
        print(*map(json.dumps, results), sep="\n")
        return
    of_chain = {}
    for result in results:
        of_chain.setdefault(result["chain"], {})[result["logits"]] = cells(result)
    lines = [
        document.machine(),
        "",
        "| microseconds a token | N(0, 3) | llama.cpp | | peaked | llama.cpp | |",
        "|---|---|---|---|---|---|---|",
        f"| reading the row once | {floors['normal'] / 1000:.1f} | | |"
        f" {floors['peaked'] / 1000:.1f} | | |",
        *(
            f"| {WORDS[chain]} | {of_row['normal']} | {of_row['peaked']} |"
            for chain, of_row in of_chain.items()
        ),
    ]
    print(*lines, sep="\n")
    document.write("bench/peers/sampler", lines)


main()
