"""Record what Python's math says, for starlib/python_test.go.

    python3.13 -m venv venv && venv/bin/pip install mpmath
    venv/bin/python starlib/testdata/python/math.py > starlib/testdata/python/math.json

Each row is [expression of the task file language, the repr of the value here,
or null where Python raises an error]. Python's own gamma is several units of the
last place off the true value, so that one is mpmath's.
"""
import os
import sys

sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]

import json
import math
import random

import mpmath

mpmath.mp.prec = 300

rng = random.Random(20261124)
rows = []


def lit(x):
    if isinstance(x, float):
        if math.isnan(x):
            return "math.nan"
        if math.isinf(x):
            return "math.inf" if x > 0 else "-math.inf"
    return repr(x)


def add(name, f, *args):
    try:
        value = f(*args)
        if name == "gamma" and math.isfinite(value) and value != 0:
            value = float(mpmath.gamma(mpmath.mpf(args[0])))
        value = lit(value)
    except (ValueError, OverflowError, ZeroDivisionError):
        value = None
    rows.append([f"math.{name}({', '.join(lit(a) for a in args)})", value])


SMALLEST, NORMAL, LARGEST = 5e-324, 2.2250738585072014e-308, sys.float_info.max
edges = [0.0, SMALLEST, 1e-320, 2.2250738585072009e-308, NORMAL, 1e-300, 1e-160, 1e-17, 1e-9, 0.25, 0.5,
         1 - 2**-53, 1.0, 1 + 2**-52, 1.5, 2.0, 2.5, 3.0, math.pi / 2, math.pi, 10.0, 22.0, 170.5, 709.5, 745.0, 1e5, 2.0**53,
         1e22, 1e160, 1e300, LARGEST, math.inf, math.nan]
edges += [-x for x in edges if x == x]
near = [rng.uniform(-1, 1) for _ in range(15)] + [1 + rng.uniform(-1, 1) * 10 ** -k for k in range(1, 9)]
near += [0.8398402189849574, -0.5080510469266311, 0.4854877557182238]
wide = [rng.choice([-1, 1]) * 10 ** rng.uniform(-k, k) for k in (1, 1, 1, 2, 2, 2, 3, 10, 100, 300)]

for name in ["fabs", "exp", "sqrt", "log", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
             "asinh", "acosh", "atanh", "degrees", "radians", "gamma", "ceil", "floor", "trunc", "isnan", "isinf", "isfinite"]:
    for x in edges + near + wide:
        if name != "degrees" or not 1e300 < abs(x) < math.inf:  # beyond a float: here an infinity, in a task file an error
            add(name, getattr(math, name), x)
for x in edges + near + wide:
    add("round", round, x)

pairs = [(x, y) for x in edges[::2] + [-0.0] for y in edges[1::3] + [0.0, -0.0, 1.0, -2.0]]
pairs += [(rng.choice(near + wide), rng.choice(near + wide)) for _ in range(60)]
pairs += [(1e-320, 1e-321), (-1e-320, 3e-323), (SMALLEST, -SMALLEST), (SMALLEST, 1.0), (SMALLEST, LARGEST), (1e-310, -1e-310)]
for name in ["pow", "hypot", "atan2", "copysign", "fmod", "remainder"]:
    some = pairs if name in ("atan2", "pow") else rng.sample(pairs, 150) + pairs[-6:]
    for x, y in some:
        add("mod" if name == "fmod" else name, getattr(math, name), x, y)
for x in [0.5, 2.0, 8.0, 10.0, 1e-320, 1e300, 3]:
    for base in [2.0, 10.0, 0.5, 3.0, 1e-320, 7]:
        add("log", math.log, x, base)

json.dump({"python": sys.version.split()[0], "rows": rows}, sys.stdout, indent=0)
print()
