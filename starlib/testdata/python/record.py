"""Record what Python and NumPy say, for starlib/library_python_test.go.

    python3.13 -m venv venv && venv/bin/pip install numpy
    venv/bin/python starlib/testdata/python/record.py > starlib/testdata/python/recorded.json

Each row is [expression of the task file language, the repr of the value here].
"""
import html
import json
import math
import random
import statistics
import sys

import numpy as np

rng = random.Random(20261124)
rows = []


def lit(x):
    if isinstance(x, list):
        return "[" + ", ".join(lit(v) for v in x) + "]"
    if isinstance(x, float):
        if math.isinf(x):
            return "math.inf" if x > 0 else "-math.inf"
        return repr(x)
    if isinstance(x, str):
        return json.dumps(x, ensure_ascii=False)
    return repr(x)


def plain(x):
    if isinstance(x, np.ndarray):
        return [plain(v) for v in x.tolist()]
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, tuple):
        return [plain(v) for v in x]
    return x


def add(expression, value):
    rows.append([expression, lit(plain(value))])


def floats(n, scale):
    return [rng.uniform(-1, 1) * 10 ** rng.uniform(-scale, scale) for _ in range(n)]


def ints(n, size):
    return [rng.randint(-size, size) for _ in range(n)]


for n in [0, 1, 2, 3, 5, 8, 10, 17]:
    for scale in [0, 2, 6, 15]:
        xs = floats(n, scale)
        add(f"sum({lit(xs)})", sum(xs))
        add(f"math.fsum({lit(xs)})", math.fsum(xs))
        add(f"math.prod({lit(xs)})", math.prod(xs))
        if n:
            add(f"stats.mean({lit(xs)})", float(statistics.mean(xs)))
            add(f"stats.median({lit(xs)})", statistics.median(xs))
            add(f"stats.quantile({lit(xs)}, [0.0, 0.1, 0.25, 0.5, 0.77, 0.95, 1.0])", np.quantile(xs, [0.0, 0.1, 0.25, 0.5, 0.77, 0.95, 1.0]))
            add(f"stats.variance({lit(xs)}, sample = False)", statistics.pvariance(xs))
            add(f"stats.stdev({lit(xs)}, sample = False)", statistics.pstdev(xs))
        if n > 1:
            add(f"stats.variance({lit(xs)})", statistics.variance(xs))
            add(f"stats.stdev({lit(xs)})", statistics.stdev(xs))
for n in [1, 2, 4, 9, 30]:
    for size in [1, 10, 10**6, 10**20]:
        xs = ints(n, size)
        add(f"sum({lit(xs)})", sum(xs))
        add(f"math.prod({lit(xs)})", math.prod(xs))
        add(f"math.gcd(*{lit(xs)})", math.gcd(*xs))
        add(f"math.lcm(*{lit(xs)})", math.lcm(*xs))
        if size < 2**52:
            add(f"stats.mean({lit(xs)})", float(statistics.mean(xs)))
            add(f"stats.median({lit(xs)})", statistics.median(xs))
        add(f"stats.mode({lit(xs)})", statistics.mode(xs))
for xs in [[0.1] * 10, [1, 0.1, 2], [1e100, 1.0, -1e100], [1e308, 1e308, -1e308], [math.inf, 1.0], [2**60, 0.5, 1], [0.1, 0.2, 0.3]]:
    add(f"sum({lit(xs)})", sum(xs))
for xs in [[1e300, 1.0, -1e300], [5e-324, 5e-324], [1e16, 1.0, 1.0], [2**53, 1, 1e-300, -(2**53)], [math.inf, 1.0]]:
    add(f"math.fsum({lit(xs)})", math.fsum(xs))
for x in [0.5, 1.5, 2.5, -0.5, -2.5, 2.675, 1.005, 0.125, 1e15 + 0.3, 12345.6789, 1e22, 1e300, 5e-324, 0.1, -7.05, 99.995]:
    add(f"round({lit(x)})", round(x))
    for d in [0, 1, 2, 3, 5, 17, 330, -1, -2, -5, -310]:
        add(f"round({lit(x)}, {d})", round(x, d))
for x in [0, 5, 15, 25, -15, -25, 12345, 10**30 + 5 * 10**9, -(10**30), 149, 150, 151]:
    for d in [0, 3, -1, -2, -10, -40]:
        add(f"round({x}, {d})", round(x, d))
for x in [7, -7, 7.5, -7.5, 0, 10**25, 0.3]:
    for y in [2, -2, 2.5, -0.7, 3, 10**12]:
        add(f"list(divmod({lit(x)}, {lit(y)}))", list(divmod(x, y)))
for x in [0, 1, -1, 255, -4096, 10**30, 2**64 - 1]:
    add(f"hex({x})", hex(x))
    add(f"oct({x})", oct(x))
    add(f"bin({x})", bin(x))
for a, b, kw in [(1.0, 1.0 + 1e-10, {}), (1.0, 1.0 + 1e-8, {}), (0.0, 1e-12, {}), (0.0, 1e-12, {"abs_tol": 1e-9}),
                 (1e300, 1.1e300, {"rel_tol": 0.1}), (math.inf, math.inf, {}), (math.inf, 1e308, {}), (-1.0, 1.0, {"rel_tol": 2.0})]:
    args = "".join(f", {k} = {lit(v)}" for k, v in kw.items())
    add(f"math.isclose({lit(a)}, {lit(b)}{args})", math.isclose(a, b, **kw))
for n in [1, 2, 5, 40]:
    for bins in [1, 3, 10]:
        xs = [round(x, 3) for x in floats(n, 1)]
        counts, edges = np.histogram(xs, bins=bins)
        add(f"stats.histogram({lit(xs)}, bins = {bins}).counts", counts)
        add(f"stats.histogram({lit(xs)}, bins = {bins}).edges", edges)
        counts, _ = np.histogram(xs, bins=bins, range=(-1, 2))
        add(f"stats.histogram({lit(xs)}, bins = {bins}, low = -1, high = 2).counts", counts)
xs = [i / 10 for i in range(31)]
for bins in [3, 5, 6, 10, 15, 30]:
    counts, edges = np.histogram(xs, bins=bins)
    add(f"stats.histogram([i / 10 for i in range(31)], bins = {bins}).counts", counts)
for s in ["", "a < b & c > \"d\" 'e'", "<script>alert(1)</script>", "&amp;", "é & ü"]:
    add(f"text.escape_html({lit(s)})", html.escape(s).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))
for xs in [[3, 1, 2], ["b", "a"], []]:
    add(f"max({lit(xs)}, default = 7)", max(xs, default=7))
    add(f"min({lit(xs)}, default = 7)", min(xs, default=7))
json.dump({"python": sys.version.split()[0], "numpy": np.__version__, "rows": rows}, sys.stdout, ensure_ascii=False, indent=0)
print()
