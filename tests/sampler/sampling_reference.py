#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/SAMPLING.md once more, in Python, to check the vectors of tests/golden/sampling.

    sampling_reference.py FOLDER            checks every vector; fails if one is wrong
    sampling_reference.py --fill FOLDER     writes into the files what the library doesn't tell: the
                                            candidates that are left and their masses

Nothing here comes from the library: it reads like the definitions and sorts all that it wants to.
Integers are exact. Doubles are Python's; f32 operations are computed exactly, or in double where
that gives the same, and then rounded.
"""
import functools
import json
import math
import pathlib
import re
import struct
import sys
from fractions import Fraction

LN2 = float.fromhex("0x1.62e42fefa39efp-1")
LOG2_E = float.fromhex("0x1.71547652b82fep+0")
LARGEST = float.fromhex("0x1.fffffep127")
SLACK = 2.0**-22

# ------------------------------------------------------------------------------------------------
# f32


def f32(x):
    """A double, rounded to f32."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def f32_bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def f32_of_bits(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def f32_exactly(q):
    """A fraction, rounded once."""
    if q == 0:
        return 0.0
    exponent = abs(q.numerator).bit_length() - q.denominator.bit_length()
    if abs(q) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - 23, -149)
    return float(round(q / unit) * unit)  # round() takes ties to even


def fma32(a, b, c):
    return f32_exactly(Fraction(a) * Fraction(b) + Fraction(c))


def add32(a, b):
    return f32(a + b)


def mul32(a, b):
    return f32(a * b)  # the product of two f32 is exact in double


def toward_zero(x):
    """A double to f32."""
    y = f32(x)
    return f32_of_bits(f32_bits(y) - 1) if abs(y) > abs(x) else y


def clamped(x):
    return f32(min(max(x, -LARGEST), LARGEST))


# ------------------------------------------------------------------------------------------------
# exp and ln, as in src/base/exp.h


def horner(x, coefficients):
    result = coefficients[0]
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


LN2_HIGH = float.fromhex("0x1.62e42fefa0000p-1")
LN2_LOW = float.fromhex("0x1.cf79abc9e3b3ap-40")
SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")
EVEN = [1.0 / math.factorial(k) for k in (12, 10, 8, 6, 4)]
ODD = [1.0 / math.factorial(k) for k in (13, 11, 9, 7, 5, 3)]
ARTANH = [1.0 / k for k in range(21, 2, -2)]


def exp(x):
    """x <= 0."""
    if x < -708:
        return 0.0
    magic = 1.5 * 2.0**52
    k = (x * LOG2_E + magic) - magic
    f = (x - k * LN2_HIGH) - k * LN2_LOW
    f2 = f * f
    tail = f2 * (0.5 + (f * horner(f2, ODD) + f2 * horner(f2, EVEN)))
    return math.ldexp(1.0 + (f + tail), int(k))


def ln(x):
    y, e = math.frexp(x)
    if y < SQRT_HALF:
        y, e = 2 * y, e - 1
    d = y - 1.0
    s = d / (y + 1.0)
    s2 = s * s
    return e * LN2_HIGH + ((d - s * (d - 2.0 * s2 * horner(s2, ARTANH))) + e * LN2_LOW)


def ln_1_plus(x):
    rounded = 1.0 + x
    return x if rounded == 1.0 else ln(rounded) * (x / (rounded - 1.0))


# ------------------------------------------------------------------------------------------------
# Random bits


def philox(counter, key):
    """Philox4x32-10."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def random_bits(seed, stream, step, number):
    low32 = 0xFFFFFFFF
    words = philox((number, stream, step & low32, step >> 32), (seed & low32, seed >> 32))
    return sum(word << 32 * i for i, word in enumerate(words))


# ------------------------------------------------------------------------------------------------
# Masses


class Scale:
    """What all masses of some candidates have in common: the maximum and the temperature."""

    def __init__(self, m, T):
        self.m, self.T = m, T
        L = LOG2_E / T
        self.is_ordinary = 2.0**-100 <= L <= 2.0**120 and m < 2.0**103
        if not self.is_ordinary:
            return
        self.L_high = toward_zero(L)
        self.L_low = f32(L - self.L_high)
        at_max = m * L
        is_near = abs(at_max) <= 512
        self.c = 0.0 if is_near else m
        self.magic = f32(1.5 * 2**23 + 51 - (round(at_max) if is_near else 0))
        self.lowest = f32((m - self.c) - 152 / L)

    @functools.cache
    def exponential(self, z):
        """e of an f32 row: 2^51 exp((z - m) / T) in f32."""
        d = max(self.lowest, add32(z, -self.c))
        t = fma32(d, self.L_high, self.magic)
        f = fma32(d, self.L_low, fma32(d, self.L_high, add32(self.magic, -t)))
        r = float.fromhex("0x1.366874p-13")
        for c in ("0x1.5e1bbcp-10", "0x1.3b3d6cp-7", "0x1.c6b20cp-5", "0x1.ebfbc6p-3"):
            r = fma32(r, f, float.fromhex(c))
        P = add32(1.0, fma32(f, float.fromhex("0x1.62e42cp-1"), mul32(mul32(f, f), r)))
        return f32_of_bits((f32_bits(P) + (f32_bits(t) << 23)) & 0xFFFFFFFF)

    def mass(self, z):
        if self.is_ordinary:
            return round(self.exponential(z))
        return round(exp((z - self.m) / self.T) * 2.0**51)

    def depth(self, z):
        """x: how far below the maximum, in nats."""
        return min((self.m - z) * (1 / self.T), 1024.0)

    def weighted_depth(self, z):
        if not self.is_ordinary:
            return round(self.mass(z) * self.depth(z))
        y = min(mul32(add32(self.m, -z), f32(1 / self.T)), 1024.0)
        return round(mul32(self.exponential(z), y))

    def square(self, z):
        e = (self.exponential(z) if self.is_ordinary else float(self.mass(z))) * 2.0**-26
        return round(mul32(e, e) if self.is_ordinary else e * e)


@functools.cache
def scale_of(m, T):
    return Scale(m, T)


class Row:
    """The candidates, {id: score}, and the temperature so far."""

    def __init__(self, scores, seed, stream, history, n_drawn, level):
        self.scores, self.T = scores, 1.0
        self.seed, self.stream = seed, stream
        self.history, self.step = history, len(history)
        self.n_drawn = n_drawn  # that many at the end of the history were drawn, not prompt
        self.level = level  # what the learning stage has learned
        self.next_level = lambda token, surprise: level  # and learns of what is drawn, in nats
        self.n_xtc = 0

    def order(self):
        return sorted(self.scores, key=lambda i: (-self.scores[i], i))

    def max(self):
        return max(self.scores.values()) + 0.0  # -0 becomes 0

    def keep(self, ids):
        self.scores = {i: self.scores[i] for i in sorted(ids)}

    def keep_first(self, k):
        self.keep(self.order()[:k])

    def scale(self):
        return scale_of(self.max(), self.T)

    def masses(self):
        scale = self.scale()
        return {i: scale.mass(z) for i, z in self.scores.items()}

    def weight(self):
        return sum(self.masses().values())

    def lambda_(self):
        """-ln of the largest probability."""
        largest = self.scale().mass(self.max())
        return ln_1_plus(float(self.weight() - largest) / float(largest))

    def mean_depth(self):
        scale = self.scale()
        return float(sum(map(scale.weighted_depth, self.scores.values()))) / float(self.weight())

    def recent(self, window):
        return self.history[len(self.history) - min(window, len(self.history)) :]


# ------------------------------------------------------------------------------------------------
# Stages: what each does to a row


def prefix(row, order, share, min_keep):
    """The shortest prefix of an order whose mass is what top-p wants."""
    masses, W = row.masses(), row.weight()
    least = max(1, math.ceil(Fraction(share) * W) - W // 2**24)
    kept, mass = 0, 0
    while mass < least or kept < min(max(1, min_keep), len(order)):
        mass += masses[order[kept]]
        kept += 1
    row.keep(order[:kept])


def keep_within(row, l, min_keep):
    """A threshold: z - m >= T min(l, 0)."""
    m, most = row.max(), -(row.T * l) if l < 0 else 0.0
    n = sum(m - z <= most for z in row.scores.values())
    row.keep_first(max(n, min_keep))


def multiply_temperature(row, factor):
    product = row.T * factor
    if product < 2.0**-1000:
        row.keep_first(1)
        row.T = 1.0
    elif product > 2.0**1000:
        row.scores = dict.fromkeys(row.scores, 0.0)
        row.T = 1.0
    else:
        row.T = product


def temperature(row, s):
    multiply_temperature(row, s["temperature"])


def dynamic_temperature(row, s):
    low, high, e = s["low"], s["high"], s["exponent"]
    n = len(row.scores)
    if n == 1 or low == high == 1:
        return
    y = min(1.0, (row.lambda_() + row.mean_depth()) / ln(float(n)))
    r = 1.0 if e == 0 else 0.0 if y < 2.0**-1000 else exp(e * ln(y))
    multiply_temperature(row, low + (high - low) * r)


def smoothing(row, s):
    f, c, m = s["factor"], s["curve"], row.max()
    if f == 0:
        return
    for i, z in row.scores.items():
        d = z - m
        g = max(d * (1 / row.T), -(2.0**400))
        row.scores[i] = clamped(m + ((f * d) * g) * ((c - 1) / 2 * g - (3 - c) / 2))


def top_k(row, s):
    if s["k"] > 0:
        row.keep_first(max(s["k"], s["min_keep"]))


def top_p(row, s):
    if s["p"] < 1:
        prefix(row, row.order(), s["p"], s["min_keep"])


def typical(row, s):
    if s["p"] == 1:
        return
    scale, X = row.scale(), row.mean_depth()
    order = sorted(row.scores, key=lambda i: (abs(scale.depth(row.scores[i]) - X),
                                              -row.scores[i], i))
    prefix(row, order, s["p"], s["min_keep"])


def min_p(row, s):
    if s["p"] > 0:
        keep_within(row, ln(s["p"]), s["min_keep"])


def epsilon(row, s):
    if s["epsilon"] > 0:
        keep_within(row, (ln(s["epsilon"]) + row.lambda_()) - SLACK, s["min_keep"])


def eta(row, s):
    if s["epsilon"] == 0:
        return
    e, lambda_ = ln(s["epsilon"]), row.lambda_()
    H = lambda_ + row.mean_depth()
    keep_within(row, (min(e, e / 2 - H) + lambda_) - SLACK, s["min_keep"])


def top_a(row, s):
    if s["a"] > 0:
        keep_within(row, (ln(s["a"]) - row.lambda_()) - SLACK, s["min_keep"])


def p_less(row, s):
    scale = row.scale()
    Q = sum(map(scale.square, row.scores.values()))
    p = (float(Q) * 2.0**52) / (float(row.weight()) * float(scale.mass(row.max())))
    keep_within(row, ln(p) - SLACK, s["min_keep"])


def top_n_sigma(row, s):
    if s["n"] == math.inf:
        return
    m, n = row.max(), float(len(row.scores))
    sums, squares = [0.0] * 16, [0.0] * 16
    for i, z in sorted(row.scores.items()):
        d = m - z
        sums[i % 16] += d
        squares[i % 16] += d * d
    for width in (8, 4, 2, 1):
        for i in range(width):
            sums[i] += sums[i + width]
            squares[i] += squares[i + width]
    variance = max((squares[0] - sums[0] * sums[0] / n) / n, 0.0)
    most = s["n"] * s["n"] * variance
    n_kept = sum((m - z) * (m - z) <= most for z in row.scores.values())
    row.keep_first(max(n_kept, s["min_keep"]))


def tail_free(row, s):
    masses, order = row.masses(), row.order()
    w = [masses[i] for i in order]
    differences = [abs(w[j] - 2 * w[j + 1] + w[j + 2]) for j in range(len(w) - 2)]
    if s["z"] == 1 or len(w) < 3:
        return
    most = math.floor(Fraction(s["z"]) * sum(differences))
    for i in range(max(1, s["min_keep"]), len(differences)):
        if sum(differences[: i + 1]) > most:
            row.keep(order[:i])
            return


def xtc(row, s):
    number = 0x40000000 + row.n_xtc
    row.n_xtc += 1
    r = random_bits(row.seed, row.stream, row.step, number) & (2**64 - 1)
    if s["threshold"] > 0.5 or r >= math.ceil(Fraction(s["probability"]) * 2**64):
        return
    m, least = row.max(), -math.inf
    if s["threshold"] > 0:
        least = row.T * ((ln(s["threshold"]) + row.lambda_()) - SLACK)
    likely = [i for i in row.order() if row.scores[i] - m >= least]
    gone = [i for i in likely[:-1] if i not in s["spared"]]
    if gone and len(row.scores) - len(gone) >= max(1, s["min_keep"]):
        row.keep(set(row.scores) - set(gone))


def logit_bias(row, s):
    for entry in s["entries"]:
        i, bias = entry["token"], entry["bias"]
        if i not in row.scores:
            continue
        if bias == -math.inf:
            del row.scores[i]
        else:
            row.scores[i] = clamped(row.scores[i] + bias * row.T)


def penalties(row, s):
    recent = row.recent(s["window"])
    drawn = row.history[len(row.history) - row.n_drawn :]
    drawn = drawn[max(0, len(drawn) - len(recent)) :]
    counted = drawn if s["drawn_only"] else recent
    for i in set(recent) & set(row.scores):
        z, r, count = row.scores[i], s["repetition"], counted.count(i)
        repeated = z / r if z > 0 else z * r
        penalty = (s["presence"] if count > 0 else 0.0) + s["frequency"] * float(count)
        row.scores[i] = clamped(repeated - penalty * row.T)


def power(base, k):
    product = 1.0
    for _ in range(k):
        product = min(product * base, LARGEST)
    return product


def dry(row, s):
    recent = row.recent(s["window"])
    unbroken = 0
    while unbroken < len(recent) and recent[-1 - unbroken] not in s["breakers"]:
        unbroken += 1
    longest = {}
    for end in range(1, len(recent)):  # the runs that end before token `end` of the window
        length = 0
        while length < min(unbroken, end) and recent[end - 1 - length] == recent[-1 - length]:
            length += 1
        longest[recent[end]] = max(length, longest.get(recent[end], 0))
    for i, length in longest.items():
        if i in row.scores and i not in s["breakers"] and length >= s["allowed_length"]:
            penalty = s["multiplier"] * power(s["base"], length - s["allowed_length"])
            row.scores[i] = clamped(row.scores[i] - penalty * row.T)


def no_repeat_ngram(row, s):
    recent, n = row.recent(s["window"]), s["n"]
    if n == 0 or n > len(recent):
        return
    end = recent[len(recent) - (n - 1) :]
    for at in range(len(recent) - n + 1):
        if recent[at : at + n - 1] == end:
            row.scores.pop(recent[at + n - 1], None)


def allow(row, s):
    row.keep(set(row.scores) & set(s["tokens"]))


def ban(row, s):
    row.keep(set(row.scores) - set(s["tokens"]))


def top_h(row, s):
    if s["h"] == 1:
        return
    scale, order, lambda_ = row.scale(), row.order(), row.lambda_()
    w = [scale.mass(row.scores[i]) for i in order]
    v = [round(float(mass) * scale.depth(row.scores[i])) for mass, i in zip(w, order)]

    def entropy(n):
        return float(sum(v[:n])) + lambda_ * float(sum(w[:n]))

    n, most = len(order), (s["h"] + 2.0**-24) * entropy(len(order))
    while n > max(1, s["min_keep"]) and entropy(n) > most:
        n -= 1
    row.keep(order[:n])


def learn_surprise(row, s):
    row.next_level = lambda token, nats: row.level - s["eta"] * (nats / LN2 - s["tau"])


def mirostat_2(row, s):
    keep_within(row, (row.lambda_() - row.level * LN2) - SLACK, s["min_keep"])
    learn_surprise(row, s)


def ln_of_zipf_sum(N, E):
    size, g = abs(E), -(E * N)
    if size < 2.0**-20:
        return ln(N)
    if g > 700:
        return g - ln(size)
    u = exp(g) if g <= 0 else 1 / exp(-g)
    return ln(abs(1 - u)) - ln(size)


def n_by_zipf(row, s):
    scale, order = row.scale(), row.order()
    x = [scale.depth(row.scores[i]) for i in order[: s["m"]]]
    t = [ln(float(i + 2) / float(i + 1)) for i in range(len(x) - 1)]
    products = squares = 0.0
    for i, t_i in enumerate(t):
        products += t_i * (x[i + 1] - x[i])
        squares += t_i * t_i
    n = len(order)
    if n < 2 or products / squares == 0:
        return n
    exponent, N = products / squares, ln(float(n))
    K = (row.level * LN2 - ln_of_zipf_sum(N, exponent - 1)) / exponent
    return n if K >= N else 1 if K <= 0 else math.floor(1 / exp(-K))


def mirostat_1(row, s):
    row.keep_first(max(n_by_zipf(row, s), s["min_keep"]))
    learn_surprise(row, s)


def adaptive_p(row, s):
    masses, W = row.masses(), float(row.weight())
    p = {i: f32(float(mass) / W) for i, mass in masses.items() if mass > 0}
    wanted = min(1.0, max(0.0, 2 * s["target"] - row.level))
    for i in p:
        y = abs(p[i] - wanted) / 0.3
        row.scores[i] = f32(5 - ((10 * y) * y) / (1 + y))
    row.keep(p)
    row.T = 1.0
    row.next_level = lambda token, nats: s["decay"] * row.level + (1 - s["decay"]) * p[token]


STAGES = {
    "logit-bias": logit_bias,
    "penalties": penalties,
    "temperature": temperature,
    "top-k": top_k,
    "top-p": top_p,
    "min-p": min_p,
    "typical": typical,
    "epsilon": epsilon,
    "eta": eta,
    "tail-free": tail_free,
    "top-a": top_a,
    "top-n-sigma": top_n_sigma,
    "p-less": p_less,
    "xtc": xtc,
    "dynamic-temperature": dynamic_temperature,
    "smoothing": smoothing,
    "dry": dry,
    "no-repeat-ngram": no_repeat_ngram,
    "allow": allow,
    "ban": ban,
    "top-h": top_h,
    "mirostat-1": mirostat_1,
    "mirostat-2": mirostat_2,
    "adaptive-p": adaptive_p,
}

# What may be left out of a stage's parameters.
DEFAULTS = {"min_keep": 0, "drawn_only": False, "spared": [], "breakers": []}

# ------------------------------------------------------------------------------------------------
# A row from its logits to a token


def candidates_of(logits, mask):
    """{id: score}, or a status."""
    allowed = {i: z for i, z in enumerate(logits)
               if mask is None or (i < len(mask) and mask[i] == "1")}
    if any(math.isnan(z) for z in allowed.values()):
        return "TEMPERA_NAN_INPUT"
    allowed = {i: z for i, z in allowed.items() if z > -math.inf}
    infinite = {i: 0.0 for i, z in allowed.items() if z == math.inf}
    return infinite or allowed or "TEMPERA_ALL_MASKED"


def first_level(case):
    last = case["stages"][-1]
    return {"mirostat-1": 2 * last.get("tau", 0.0), "mirostat-2": 2 * last.get("tau", 0.0),
            "adaptive-p": last.get("target")}.get(last["stage"], 0.0)


def run(case, random_of_case, history, n_drawn=0, level=None):
    """The row after all stages, or a status. random_of_case has the seed and the stream."""
    scores = candidates_of(case["logits"], case["mask"])
    if isinstance(scores, str):
        return scores
    level = first_level(case) if level is None else level
    seed, stream = int(random_of_case["seed"]), random_of_case["stream"]
    row = Row(scores, seed, stream, history, n_drawn, level)
    for stage in case["stages"]:
        STAGES[stage["stage"]](row, DEFAULTS | stage)
        if not row.scores:
            return "TEMPERA_ALL_MASKED"
    row.keep(row.scores)
    return row


def draw_by_mass(row, number=0):
    masses = row.masses()
    target = random_bits(row.seed, row.stream, row.step, number) * row.weight() >> 128
    for token, mass in masses.items():
        if target < mass:
            return token
        target -= mass
    raise ArithmeticError("a share of the weight that no token has")


def noise(r):
    """-ln((r + 1/2) / 2^64)."""
    if r < 3 * 2**62:
        return -ln((float(r >> 11) + 0.5) * 2.0**-53)
    a = (float(2**64 - 1 - r) + 0.5) * 2.0**-64
    g = a / (2 - a)
    g2 = g * g
    return 2 * g * (1 + g2 * horner(g2, ARTANH))


def by_race(row):
    """The tokens that can be drawn, the winner first."""
    def time(token):
        r = random_bits(row.seed, row.stream, row.step, 0x80000000 + token) & (2**64 - 1)
        return noise(r) / float(masses[token])

    masses = row.masses()
    return sorted((i for i in masses if masses[i] > 0), key=lambda i: (time(i), i))


def draw(row, how):
    """The token, its logprob and the next level."""
    token = by_race(row)[0] if how == "race" else draw_by_mass(row)
    surprise = row.scale().depth(row.scores[token]) + row.lambda_()
    return token, f32(-surprise), row.next_level(token, surprise)


def probabilities_of(row, n):
    masses, W = row.masses(), float(row.weight())
    return [f32(float(masses.get(i, 0)) / W) for i in range(n)]


# ------------------------------------------------------------------------------------------------
# The files


def number(value):
    """A number of a file; JSON has no infinities and no NaN."""
    return float(value) if isinstance(value, str) else value


def f32_number(value):
    value = float(number(value))
    return value if math.isinf(value) or math.isnan(value) else f32(value)


def read_stage(stage):
    as_they_are = {"stage", "k", "m", "window", "allowed_length", "min_keep", "drawn_only",
                   "spared", "breakers", "tokens"}
    read = {}
    for key, value in stage.items():
        if key in as_they_are or (stage["stage"], key) == ("no-repeat-ngram", "n"):
            read[key] = value
        elif key == "entries":
            read[key] = [{"token": e["token"], "bias": f32_number(e["bias"])} for e in value]
        else:
            read[key] = f32_number(value)
    return read


def read(path):
    """The cases of a file, with numbers for what are strings there."""
    file = json.loads(path.read_text())
    for case in file["cases"]:
        case["logits"] = [f32_number(z) for z in file["rows"][case["row"]]]
        case["stages"] = [read_stage(stage) for stage in case["stages"]]
    return file["cases"]


class Checker:
    def __init__(self):
        self.n_checks = self.n_failures = 0

    def check(self, where, got, expected):
        self.n_checks += 1
        if got != expected and not (got != got and expected != expected):
            self.n_failures += 1
            print(f"{where}: the file has {got}, the definition gives {expected}")


def check_draws(checker, where, case):
    for one in case["draws"]:
        at = f"{where}, seed {one['seed']}, stream {one['stream']}"
        row = run(case, one, case["history"])
        status = row if isinstance(row, str) else "TEMPERA_OK"
        checker.check(f"{at}: status", case["status"], status)
        token, logprob, level = draw(row, case["draw"]) if status == "TEMPERA_OK" else (-1, {
            "TEMPERA_NAN_INPUT": math.nan, "TEMPERA_ALL_MASKED": -math.inf}[status],
            first_level(case))
        checker.check(f"{at}: token", one["token"], token)
        checker.check(f"{at}: logprob", f32_number(one["logprob"]), logprob)
        checker.check(f"{at}: level", float(one["level"]), level)


def check_several(checker, where, case):
    row, n = left_of(case), len(case["many"])
    many = [draw_by_mass(row, number) for number in range(n)]
    checker.check(f"{where}: many", case["many"], many)
    checker.check(f"{where}: distinct", case["distinct"], by_race(row)[:n])


def check_sequence(checker, where, case):
    history, level = list(case["history"]), None
    sequence = case["sequence"]
    for n_drawn, expected in enumerate(sequence["tokens"]):
        row = run(case, sequence, history, n_drawn, level)
        token, _, level = draw(row, case["draw"])
        checker.check(f"{where}, token {n_drawn} of the sequence", expected, token)
        history.append(token)
    if level is not None:
        checker.check(f"{where}: level after the sequence", float(sequence["level"]), level)


def left_of(case):
    """The row after the stages for the first of the case's draws, or a status."""
    return run(case, case["draws"][0], case["history"])


def check_case(checker, where, case):
    row = left_of(case)
    if isinstance(row, str):
        left = []
        expected = [math.nan if row == "TEMPERA_NAN_INPUT" else 0.0] * len(case["logits"])
    else:
        left = list(row.scores)
        expected = probabilities_of(row, len(case["logits"]))
        masses = [str(mass) for mass in row.masses().values()]
        checker.check(f"{where}: masses", case["masses"], masses)
    checker.check(f"{where}: kept", case["kept"], left)
    checker.check(f"{where}: n_kept", case["n_kept"], len(left))
    for i, (got, p) in enumerate(zip(case["probabilities"], expected, strict=True)):
        checker.check(f"{where}: probability of {i}", f32_number(got), p)
    check_draws(checker, where, case)
    if "many" in case:
        check_several(checker, where, case)
    check_sequence(checker, where, case)


def fill(path):
    """Writes `kept` and `masses` into their lines, in the order of the cases."""
    rows = [left_of(case) for case in read(path)]
    kept = iter([] if isinstance(row, str) else list(row.scores) for row in rows)
    masses = iter([] if isinstance(row, str) else [str(w) for w in row.masses().values()]
                  for row in rows)
    lines = []
    for line in path.read_text().splitlines():
        if found := re.match(r' *"kept": ', line):
            line = found[0] + json.dumps(next(kept)) + ","
        elif found := re.match(r' *"masses": ', line):
            line = found[0] + json.dumps(next(masses)) + ","
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")


def main():
    paths = sorted(pathlib.Path(sys.argv[-1]).glob("*.json"))
    if sys.argv[1] == "--fill":
        for path in paths:
            fill(path)
        return
    checker, n_cases = Checker(), 0
    for path in paths:
        for case in read(path):
            n_cases += 1
            check_case(checker, f"{path.name}: {case['name']}", case)
    print(f"{len(paths)} files, {n_cases} cases, {checker.n_checks} checks, "
          f"{checker.n_failures} failures")
    sys.exit(n_cases == 0 or checker.n_failures > 0)


main()
