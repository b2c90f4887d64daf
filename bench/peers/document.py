# SPDX-License-Identifier: MIT
"""What the programs here that write a table share: the machine, and the place in the document."""
import re
import subprocess

DOCUMENT = "docs/PERFORMANCE.md"


def machine():
    """One line: processor, caches, compiler."""
    lscpu = subprocess.check_output(["lscpu"], text=True, env={"LC_ALL": "C"})
    facts = dict(re.findall(r"^ *([^:\n]+): +(.+)$", lscpu, re.M))
    caches = ", ".join(f"{c} {facts[c + ' cache']}" for c in ("L1d", "L2", "L3"))
    compiler = subprocess.check_output(["cc", "--version"], text=True).splitlines()[0]
    return (
        f"{facts['Model name']} (family {facts['CPU family']}, model {facts['Model']}), "
        f"{facts['CPU(s)']} processors, {caches}; {compiler}."
    )


def write(script, lines):
    """Puts the lines where the document says that this script writes."""
    begin, end = f"<!-- {script} writes from here -->", "<!-- to here -->"
    text = open(DOCUMENT).read()
    before, rest = text.split(begin)
    after = rest.split(end, 1)[1]
    with open(DOCUMENT, "w") as file:
        file.write(before + begin + "\n\n" + "\n".join(lines) + "\n\n" + end + after)
