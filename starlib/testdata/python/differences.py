"""Record what Python says to what this language answers otherwise, for docs/python.md.

    python3.13 starlib/testdata/python/differences.py > starlib/testdata/python/differences.json

Each row is [topic, the lines in Python, the repr of the last one or the name of
its error, the lines in a task file, a note]. The lines before the last are the
top level of a file, the last one is what a body does.
"""
import os
import sys

sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]

import contextlib
import io
import json
import warnings

warnings.simplefilter("error", SyntaxWarning)
rows = []


def row(topic, python, here=None, note=""):
    python = python if isinstance(python, list) else [python]
    here = python if here is None else here if isinstance(here, list) else [here]
    names = {}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for module in ["math", "datetime", "statistics", "random", "re", "json", "itertools"]:
                names[module] = __import__(module)
            exec("\n".join(python[:-1]), names)
            result = repr(eval(python[-1], names))
    except Exception as e:
        result = type(e).__name__
    rows.append([topic, python, result, here, note])


# Silent: both run, and give something else.
row("numbers", "math.nan == math.nan", note="ask `math.isnan(x)`")
row("numbers", "sorted([math.nan, 2.0, 1.0])", note="NaN is above all numbers, so that sorting is right for what is left")
row("numbers", "str(math.inf)", note="`%f` and `{:f}` write `inf`, as in Python")
row("numbers", "True == 1", note="a bool is no number: `int(True)` is 1")
row("numbers", '{1: "a", True: "b"}', note="`1` and `1.0` are one key, as in Python")
row("numbers", '{1: "a", 1.0: "b"}', note="the same key twice in a dict that is written out is an error")
row("numbers", 'int("1_000")', note="`int(s.replace(\"_\", \"\"))`")
row("numbers", 'int(" 5 ")', note="`int(s.strip())`")
row("text", 'len("é")', note="a string is UTF-8 bytes: indexes, `find` and slices count them; `len(list(s.codepoints()))` counts characters")
row("text", '"héllo"[1:3]', note="a slice may cut a character in two; formats and `ljust` count characters")
row("text", '"%r" % "a"', note="text is shown in double quotes, also in a list")
row("text", 'str([1, "a", None])', note="`json.encode(value)` for what others read")
row("text", '"{:>5}".format(True)', note="what is no number is laid out as its text")
row("text", 'str(b"h\\xc3\\xa9")', note="the bytes as UTF-8")
row("types", "type(1) == int", note="`type(x)` is a text: `type(x) == \"int\"`")
row("types", "str(type([]))", note="the names are string, int, float, bool, list, dict, tuple, set, NoneType, function")
row("collections", 'type({"a": 1}.keys()) == type([])', note="`keys()`, `values()`, `items()`, `zip` and `enumerate` give lists, not views; of a stream they stream")
row("time", "datetime.timedelta(hours = 36).days", 'time.duration("36h").days', "all of a duration in days, as `hours` and `seconds` are")
row("time", "datetime.datetime(2026, 3, 1).weekday()", "time.time(2026, 3, 1).weekday", "a property, 0 for Monday")
row("time", "datetime.datetime(2026, 1, 31) + datetime.timedelta(days = 1)", "time.time(2026, 1, 31) + time.day", "of times in a zone a day is 24 hours, and not the same time on the next day's clocks; `add_business_days` and `add_months` keep the time of day")

# Loud: an error here, which says what to write.
row("text", 'list("ab")', note="`list(s.elems())`")
row("text", '[c for c in "ab"]', note="`for c in s.elems()`")
row("text", 'sorted("ba")', note="`sorted(s.elems())`")
row("text", '"a" "b"', note="side by side a comma may be missing: `\"a\" + \"b\"`")
row("text", 'f"{1 + 1} rows"', note="`\"{} rows\".format(1 + 1)`, or `perago check --fix`")
row("text", '"{0[0]}".format([1])', note="`\"{}\".format(xs[0])`")
row("text", '"\\d"', note="`r\"\\d\"`")
row("numbers", "True + 1", note="`int(True) + 1`")
row("numbers", "2 ** 8", note="`math.pow(2, 8)` for floats, `1 << 8` for powers of two")
row("numbers", "(1 << 600) > 0", note="shifts go up to 511")
row("numbers", "1 < 2 < 3", note="`1 < 2 and 2 < 3`")
row("numbers", '3 + "4"', note="`3 + int(\"4\")`: fields of a CSV are text")
row("names", ["x = None", "x is None"], note="`x == None`")
row("names", ["x = 1", "x = 2", "x"], note="a top-level name is bound once")
row("names", ["n = 0", "def f():", "    global n", "    n += 1", "    return n", "f()"], note="return the new value; nothing is left for the next attempt")
row("functions", ["def f(x = []):", "    x.append(1)", "    return x", "[f(), f()]"], note="a default is made once and then frozen: `x = None`, and make it inside")
row("functions", ["rows = []", "def add(x):", "    rows.append(x)", "    return rows", "add(1)"], note="the top level is frozen when a body runs: make the list in `run`")
row("functions", ["def f(n):", "    return 1 if n < 2 else n * f(n - 1)", "f(5)"], note="keep what is to be done in a list, and loop with `break`")
row("functions", ["fs = [lambda: i for i in range(3)]", "[f() for f in fs]"], note="as in Python: `lambda i = i: i` keeps each")
row("loops", ["def f():", "    xs = [1, 2, 3]", "    for x in xs:", "        xs.remove(x)", "    return xs", "f()"], note="a list, dict or set cannot change while a loop goes over it: loop over `list(xs)`")
row("loops", ["def f():", '    d = {"a": 1}', "    for k in d:", "        d.pop(k)", "    return d", "f()"], note="loop over `d.keys()`, which is a list")
row("loops", ["def f():", "    n = 3", "    while n > 0:", "        n -= 1", "    return n", "f()"], note="`for _ in range(n):` with `break`")
row("loops", ["if True:", "    x = 1", "x"], note="at the top level: a conditional expression, or a function")
row("loops", "sum(x for x in [1, 2])", note="`sum([x for x in [1, 2]])`")
row("collections", "{1, 2}", note="`set([1, 2])`")
row("collections", "{x for x in [1]}", note="`set([x for x in [1]])`")
row("collections", '{"a": 1, "a": 2}', note="each key once in a dict that is written out")
row("collections", ["def f():", "    first, *rest = [1, 2, 3]", "    return rest", "f()"], note="`xs[0]`, `xs[1:]`")
row("collections", "[*[1], 2]", note="`[1] + [2]`")
row("collections", ["def f():", '    d = {"a": 1}', '    del d["a"]', "    return d", "f()"], note="`d.pop(\"a\")`")
row("errors", ["def f():", "    try:", "        return 1 // 0", "    except ZeroDivisionError:", "        return 0", "f()"],
    ["def f():", "    return 1 // 0", "catch(f).ok"], "`got = catch(fn, ...)`; then `got.ok`, `got.value`, `got.error`")
row("errors", ["def f():", '    raise ValueError("why")', "f()"], note="`fail(\"why\")`, or `fail_terminal(\"why\")`")
row("errors", "isinstance(1, int)", note="`type(x) == \"int\"`")
row("modules", ["import json", 'json.loads("[1]")'], note="modules are there: `json.decode(text)`")
row("modules", ["class Row:", "    n = 1", "Row().n"], note="`row = struct(n = 1)`, and functions that take it")
row("modules", "random.choice([1])", note="`rng = random.seeded(params.seed)`, so that a second attempt draws the same")
row("modules", "list(map(str, [1, 2]))", note="`[str(x) for x in xs]`")
row("functions", ["def f(a: int) -> int:", "    return a", "f(1)"], note="types are those of `schema(...)`")
json.dump({"python": sys.version.split()[0], "rows": rows}, sys.stdout, ensure_ascii=False, indent=0)
print()
