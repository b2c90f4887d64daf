# SPDX-License-Identifier: MIT
"""Fails one call of the command after the other, of those for memory, files, streams and threads, and
every third with all that follow.

    run.py TEMPERA INJECT TEXT FOLDER

TEMPERA is the command, INJECT the library of inject.c, FOLDER one to be made. A run whose n-th call
fails either gives the output that it gives else, or exit code 1, a message, and no part of a line of
JSON; and a model, a training's state and its log stay whole: the old one or the new one.
"""

import concurrent.futures
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

EVERY = 200  # up to here each call fails once, from here on
STRIDE = 17  # every so many
TINY = ("--layers 1 --dim 16 --heads 2 --hidden 32 --context 32 --batch 2 --vocab 257 --threads 2 "
        "--dtype f32 --quiet").split()

tempera, inject, text, folder = sys.argv[1:]
folder = pathlib.Path(folder)
failures = []


def run(arguments, cwd, fault=None, mark=None):
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    if fault is not None:
        environment.update(LD_PRELOAD=inject, TEMPERA_FAULT=str(fault), TEMPERA_FAULT_MARK=mark)
    return subprocess.run([tempera, *arguments], cwd=cwd, env=environment, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def check(good, arguments, what):
    if not good:
        failures.append(f"{' '.join(arguments)}: {what}")


def refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def is_json(output):
    """Whether it's one value, or values on lines of their own."""
    if not output.endswith(b"\n"):
        return False
    for candidates in ([output], output.splitlines()):
        try:
            for candidate in candidates:
                json.loads(candidate, parse_constant=refuse)
            return True
        except ValueError:
            pass
    return False


def check_result(arguments, n, name, result, right):
    """What every run has to keep to. Returns whether it succeeded."""
    where = f"call {n}, {name}"
    if result.returncode == 0:
        check(result.stdout == right, arguments, f"{where}: success, with other output")
        return True
    check(result.returncode == 1, arguments, f"{where}: exit code {result.returncode}")
    check(result.stderr.startswith(b"tempera"), arguments,
          f"{where}: a message of {result.stderr[:80]!r}")
    whole = result.stdout == b"" or is_json(result.stdout)
    torn = (name in ("fwrite", "fflush") or n.endswith("+")) and right.startswith(result.stdout)
    check(whole or torn, arguments, f"{where}: stdout is a part of JSON")
    return False


def fail_calls(one):
    """Calls one(n) for every n to be tried, which returns whether there was such a call."""
    n = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        batch = 4 * (os.cpu_count() or 1)
        for first in itertools.count(0, batch):
            numbers = [i + 1 if i < EVERY else EVERY + (i - EVERY + 1) * STRIDE
                       for i in range(first, first + batch)]
            happened = list(pool.map(one, [f"{i}" for i in numbers] +
                                     [f"{i}+" for i in numbers if i % 3 == 0]))
            n += sum(happened)
            if not all(happened):
                return n


def check_reader(arguments, cwd):
    """A command that only reads: each of its calls fails once."""
    right = run(arguments, cwd)
    check(right.returncode == 0 and is_json(right.stdout), arguments, "fails by itself")

    def one(n):
        mark = folder / f"mark.{arguments[0]}.{n}"
        result = run(arguments, cwd, n, str(mark))
        if not mark.exists():
            check(result.returncode == 0, arguments, f"no fault, but exit code {result.returncode}")
            return False
        check_result(arguments, n, mark.read_text(), result, right.stdout)
        mark.unlink()
        return True

    print(f"{arguments[0]}: {fail_calls(one)} faults", flush=True)


def contents(path):
    return {name: (path / name).read_bytes() if (path / name).exists() else None
            for name in ("m.gguf", "m.state.gguf", "m.log.jsonl")}


def check_training(start):
    """A training that goes on: its files are the old or the new ones, and it can go on again."""
    arguments = ["train", "text.txt", "-o", "m.gguf", *TINY, "--steps", "2", "--resume"]
    end = folder / "end"
    shutil.copytree(start, end)
    run(arguments, end)
    old, new = contents(start), contents(end)
    check(old != new and all(new.values()), arguments, "fails by itself")
    gone_on = set()  # what was found to lead to the end

    def one(n):
        place, mark = folder / f"train.{n}", folder / f"mark.train.{n}"
        shutil.copytree(start, place)
        result = run(arguments, place, n, str(mark))
        happened = mark.exists()
        name = mark.read_text() if happened else "none"
        found = contents(place)
        if check_result(arguments, n, name, result, b""):
            check(found == new, arguments, f"call {n}, {name}: success, with other files")
        check(found["m.gguf"] in (old["m.gguf"], new["m.gguf"]), arguments,
              f"call {n}, {name}: the model is neither the old one nor the new one")
        # a state may hold a line that the log lacks; what it is worth shows when training resumes
        if tuple(found.values()) not in gone_on:
            again = run(arguments, place)
            check(again.returncode == 0 and contents(place) == new, arguments,
                  f"call {n}, {name}: can't go on: {again.stderr[:200]!r}")
            gone_on.add(tuple(found.values()))
        shutil.rmtree(place)
        mark.unlink(missing_ok=True)
        return happened

    print(f"train: {fail_calls(one)} faults", flush=True)


def main():
    shutil.rmtree(folder, ignore_errors=True)
    start = folder / "start"
    start.mkdir(parents=True)
    (start / "text.txt").write_bytes(pathlib.Path(text).read_bytes()[:1500])
    made = run(["train", "text.txt", "-o", "m.gguf", *TINY, "--steps", "1"], start)
    check(made.returncode == 0 and made.stderr == b"", ["train"], f"fails by itself: {made.stderr}")
    model = ["-m", "m.gguf", "--threads", "2", "--json"]
    check_reader(["softmax", "2", "1", "-inf", "--json"], start)
    check_reader(["explain", "-p", "Hum", "--top", "3", "--token", "e", *model], start)
    check_reader(["generate", "-p", "Hum", "--max-tokens", "3", "--seed", "1", "--logprobs", "2",
                  *model], start)
    check_reader(["eval", "text.txt", *model], start)
    check_training(start)
    for failure in failures[:40]:
        print("FAILED:", failure)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
