#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Cross-entropy beside PyTorch's and llm.c's: runs the programs in turn and writes the table.

    bench/peers/losses [LLM_C_DIR] [--json]     builds what this needs, then starts it

Each prints lines of JSON with medians of its own turns. On a machine that others use too, whole
rounds are disturbed; so the table has each one's quietest.
"""
import json
import os
import subprocess
import sys

import document

COMMANDS = {
    "tempera": ["build/release/bin/tempera-bench", "loss", "--json"],
    "tempera, linear": ["build/release/bin/tempera-bench", "linear-loss", "--json"],
    "PyTorch": ["/usr/bin/python3", "bench/peers/pytorch_loss.py"],
    "llm.c": ["build/release/peers/llm_c"],
}
ROUNDS = 3
OURS = {  # what tempera-bench calls it: the contestant and what the table calls it
    "forward": ("tempera", "forward"),
    "forward+backward in place": ("tempera", "forward+backward"),
    "forward+backward apart": ("tempera, apart", "forward+backward"),
    "fused, 14.5 MB": ("tempera", "linear"),
}
LINEAR = "linear layer 768 -> 50257 and its loss, forward+backward"


def entries(name, line):
    """((what, columns, threads), contestant, time, bytes) of a line, if the table has it."""
    contestant, what = OURS.get(line["what"], (None, None)) if "tempera" in name else (
        name, line["what"])
    if contestant and "threads" in line:
        time = line["ms"] if what == "linear" else line["ns_per_element"]
        yield (what, line["cols"], line["threads"]), contestant, time, line.get("nbytes")


def run(name):
    try:
        done = subprocess.run(COMMANDS[name], stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        return []
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    beyond = [line["nbytes"] for line in lines if "beyond inputs" in line["what"]]
    found = [entry for line in lines for entry in entries(name, line)]
    return [(*entry[:3], entry[3] or (beyond[0] if beyond else None)) for entry in found]


def measure():
    """{setting: {contestant: (time, bytes)}} of each one's quietest round."""
    results = {}
    for _ in range(ROUNDS):
        for name in COMMANDS:
            for setting, contestant, time, nbytes in run(name):
                of_setting = results.setdefault(setting, {})
                before = of_setting.get(contestant, (time, nbytes))
                of_setting[contestant] = min((time, nbytes), before)
    return results


def cell(times, contestant, digits):
    if contestant not in times:
        return " | "
    time, ours = times[contestant][0], times["tempera"][0]
    return f"{time:.{digits}f} | {time / ours:.1f} times"


def table_row(setting, times):
    what, cols, threads = setting
    digits = 0 if what == "linear" else 2
    words = f"{LINEAR}, ms" if what == "linear" else f"{what}, 512 x {cols}"
    apart = f"{times['tempera, apart'][0]:.2f}" if "tempera, apart" in times else ""
    return (f"| {words} | {threads} | **{times['tempera'][0]:.{digits}f}** | {apart} | "
            f"{cell(times, 'PyTorch', digits)} | {cell(times, 'llm.c', digits)} |")


def memory(results):
    times = results.get(("linear", 50257, 2), {})
    if not all(name in times and times[name][1] for name in ("tempera", "PyTorch")):
        return []
    ours, theirs = (times[name][1] / 1e6 for name in ("tempera", "PyTorch"))
    return ["", f"Memory of the last, beyond inputs and gradients: {ours:.1f} MB, PyTorch "
            f"{theirs:.0f} MB."]


def main():
    results = measure()
    if not os.path.exists(COMMANDS["llm.c"][0]):
        print("losses.py: without llm.c", file=sys.stderr)
    if sys.argv[1:] == ["--json"]:
        for (what, cols, threads), times in results.items():
            for contestant, (time, nbytes) in times.items():
                print(json.dumps({"what": what, "cols": cols, "threads": threads,
                                  "name": contestant, "time": time, "nbytes": nbytes}))
        return
    lines = [
        document.machine(),
        "",
        "| ns an element | threads | tempera | tempera, apart | PyTorch | | llm.c | |",
        "|---|---|---|---|---|---|---|---|",
        *(table_row(setting, times) for setting, times in results.items()),
        *memory(results),
    ]
    print(*lines, sep="\n")
    document.write("bench/peers/losses", lines)


main()
