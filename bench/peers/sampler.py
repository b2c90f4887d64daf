#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The sampler beside llama.cpp's: runs both programs in turn and writes the table.

    bench/peers/sampler LLAMA_CPP_DIR [--json]     builds what this needs, then starts it

Both print a line of JSON for each row of scores and chain, with the median time of a token. On a
machine that others use too, whole rounds are disturbed; so the table has each one's quietest.
"""
import json
import subprocess
import sys

import document

OURS = ["build/release/bin/tempera-bench", "sampler", "--json"]
THEIRS = ["build/release/peers/llama_sampler"]
ROUNDS = 9
WORDS = {
    "greedy": "greedy",
    "default": "top-k 40, top-p 0.95, min-p 0.05, T 0.8",
    "default-penalties": "the same after penalties over 64",
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
    """For each row and chain that both have, the times of each one's quietest round."""
    rounds = [(times(OURS), times(THEIRS)) for _ in range(ROUNDS)]
    results = []
    for key in (key for key in rounds[0][1] if key in rounds[0][0]):
        ns, theirs = (min(one[side][key] for one in rounds) for side in (0, 1))
        results.append({"logits": key[0], "chain": key[1], "ns": ns, "llama_cpp_ns": theirs,
                        "times": theirs / ns})
    return results


def cells(result):
    us, theirs, ratio = result["ns"] / 1000, result["llama_cpp_ns"] / 1000, result["times"]
    return f"**{us:.1f}** | {theirs:.0f} | {ratio:.1f} times"


def main():
    results = measure()
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
        *(
            f"| {WORDS[chain]} | {of_row['normal']} | {of_row['peaked']} |"
            for chain, of_row in of_chain.items()
        ),
    ]
    print(*lines, sep="\n")
    document.write("bench/peers/sampler", lines)


main()
