"""Record what Python says to formats and methods of values, for starlib/python_test.go.

    python3.13 starlib/testdata/python/formats.py > starlib/testdata/python/formats.json

Each row is [expression of the task file language, the repr of the value here,
or null where Python raises an error].
"""
import json
import math
import random
import sys

rng = random.Random(20261124)
rows = []


def lit(x):
    if isinstance(x, (list, tuple)):
        inner = ", ".join(lit(v) for v in x)
        if isinstance(x, tuple):
            return "(" + inner + ("," if len(x) == 1 else "") + ")"
        return "[" + inner + "]"
    if isinstance(x, dict):
        return "{" + ", ".join(lit(k) + ": " + lit(v) for k, v in x.items()) + "}"
    if isinstance(x, float):
        if math.isnan(x):
            return "math.nan"
        if math.isinf(x):
            return "math.inf" if x > 0 else "-math.inf"
        return repr(x)
    if isinstance(x, str):
        return json.dumps(x, ensure_ascii=False)
    return repr(x)


def add(expression, fn):
    try:
        value = lit(fn())
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        value = None
    rows.append([expression, value])


def percent(format, values):
    add(f"{lit(format)} % {lit(values)}", lambda: format % values)


def braces(format, *args, **kwargs):
    given = [lit(a) for a in args] + [f"{k} = {lit(v)}" for k, v in kwargs.items()]
    add(f"{lit(format)}.format({', '.join(given)})", lambda: format.format(*args, **kwargs))


def method(value, name, *args, **kwargs):
    given = [lit(a) for a in args] + [f"{k} = {lit(v)}" for k, v in kwargs.items()]
    add(f"{lit(value)}.{name}({', '.join(given)})", lambda: getattr(value, name)(*args, **kwargs))


FLOATS = [0.0, -0.0, 1.0, -1.5, 2.5, 0.125, 2.675, 1234567.891, -98765.4321, 1e16, 123456789012345680.0, 1e-5, 0.0001234,
          -3.14159265358979, 5e-324, 1.7976931348623157e308, 99.995, 1e22, 0.1, 9.9999999, 1e100, math.inf, -math.inf, math.nan]
INTS = [0, 1, -1, 42, -255, 1234567, -98765432109, 2**64, 10**30]
TEXTS = ["", "a", "héllo", "日本語", "x" * 12, "a b\n"]

# What one meets.
for format, values in [("%.2f", 3.14159), ("%5d|", 42), ("%-10s|", "ab"), ("%+.1e", 12345.678), ("%05d", 42), ("%x", 255), ("100%%", ()),
                       ("%(name)s is %(n)05.1f", {"name": "x", "n": 2.25}), ("%s %s", ("a", 1)), ("%*d", (5, 42)), ("%-*d|", (5, 42)), ("%*d|", (-5, 42)),
                       ("%.*f", (2, 3.14159)), ("%*.*f", (8, 2, 3.14159)), ("%5%", ()), ("%c%c", (65, "b")), ("%5c|", "x"), ("%-5c|", 955),
                       ("%s", ()), ("%s %s", ("a",)), ("%s", ("a", "b")), ("%d", "a"), ("%f", "a"), ("%q", 1), ("%", 1), ("%(a)s", {}),
                       ("%(a", {"a": 1}), ("%5", 1), ("%.f", 2.5), ("%.s|", "abc"), ("%ld %hd", (1, 2)), ("%c", "ab"), ("%d", math.inf), ("%d", math.nan),
                       ("%d", 3.99), ("%d", -3.99), ("%i %u", (1, 2)), ("% d", 5), ("% d", -5), ("%+ d", 5), ("%r", 1), ("%10r|", [1]), ("%.2r|", 100),
                       ("%s%%", 5), ("%(a)s %(a)d", {"a": 3}), ("%(a)%", {"a": 1}), ("%s", [1, 2]), ("%d%%", 50), ("no", ()), ("no", {"a": 1}), ("no", 1)]:
    percent(format, values)
for flags in ["", "-", "+", " ", "0", "#", "+0", "-0", "#0", " #", "-+"]:
    for size in ["", "8", "12.3", ".0", ".4"]:
        for verb in "deEfFgGxXo":
            xs = rng.sample(FLOATS, 2) if verb in "eEfFgG" else rng.sample(INTS, 2)
            for x in xs:
                percent(f"%{flags}{size}{verb}", x)
        percent(f"%{flags}{size}s", rng.choice(TEXTS))
for x in FLOATS:
    for verb in ["%f", "%.0f", "%.3e", "%g", "%.10g", "%#.3g", "%G", "%010.2f", "%.20f"]:
        percent(verb, x)

for format, args, kwargs in [("{:>10,.2f}", (1234567.891,), {}), ("{:<5}|", ("ab",), {}), ("{:^9}|", ("abc",), {}), ("{:,}", (1234567,), {}),
                             ("{:_}", (1234567,), {}), ("{:+d}", (5,), {}), ("{:08.3f}", (3.14159,), {}), ("{:x}", (255,), {}), ("{:#x}", (255,), {}),
                             ("{:b}", (5,), {}), ("{:e}", (12345.678,), {}), ("{:g}", (0.00001,), {}), ("{:%}", (0.256,), {}), ("{:.1%}", (0.256,), {}),
                             ("{0!r:>8}", (12,), {}), ("{:{}}|", ("ab", 6), {}), ("{:{width}.{digits}f}", (3.14159,), {"width": 8, "digits": 2}),
                             ("{:{fill}{align}{width}}", ("x",), {"fill": "*", "align": "^", "width": 5}), ("{0} {1} {0}", (1, 2), {}), ("{a} {}", (1,), {"a": 2}),
                             ("{} {0}", (1,), {}), ("{0} {}", (1,), {}), ("{", (), {}), ("}", (), {}), ("{{}}", (), {}), ("{{{}}}", (1,), {}), ("{}", (), {}),
                             ("{1}", (1,), {}), ("{a}", (1,), {}), ("{:q}", (1,), {}), ("{:5.}", (1.0,), {}), ("{!x}", (1,), {}), ("{:d}", ("a",), {}),
                             ("{:d}", (1.5,), {}), ("{:s}", (1,), {}), ("{:.2}", (1,), {}), ("{:.2d}", (1,), {}), ("{:+}", ("a",), {}), ("{:=5}", ("a",), {}),
                             ("{:,}", ("a",), {}), ("{:#}", ("a",), {}), ("{:,x}", (255,), {}), ("{:_x}", (2**40,), {}), ("{:_b}", (1000,), {}), ("{:#_b}", (1000,), {}),
                             ("{:,_}", (1,), {}), ("{:c}", (65,), {}), ("{:5c}|", (65,), {}), ("{:<5c}|", (65,), {}), ("{:+c}", (65,), {}), ("{:c}", (-1,), {}),
                             ("{:n}", (1234,), {}), ("{:n}", (1234.5,), {}), ("{:,n}", (1234,), {}), ("{:z.1f}", (-0.01,), {}), ("{:z.1f}", (-0.06,), {}), ("{:z}", (-0.0,), {}), ("{:zd}", (1,), {}),
                             ("{:05}", ("ab",), {}), ("{:>05}", ("ab",), {}), ("{:*<8}", (12,), {}), ("{:=+8}", (12,), {}), ("{:0=8}", (-12,), {}), ("{:é^7}", ("日本",), {}),
                             ("{:.3}|", ("日本語文",), {}), ("{:8.3}|", ("abcdef",), {}), ("{!s:>5}|", (1,), {}), ("{!r}", (1,), {}), ("{:>{}}", ("a", "x"), {}),
                             ("{:010,}", (1234,), {}), ("{:09,}", (1234,), {}), ("{:08,}", (1234,), {}), ("{:012,.2f}", (-1234.5,), {}), ("{:_.2f}", (1234567.5,), {}),
                             ("{:.2f}", (2**2000,), {}), ("{:d}", (2**200,), {}), ("{:,}", (10**30,), {}), ("{:.3e}", (10**30,), {}), ("{:%}", (3,), {}),
                             ("{:{:{}}}", (1, 2, 3), {}), ("{:-}", (5,), {}), ("{: }", (5,), {}), ("{: ,.1f}", (-5.0,), {}), ("{:<<5}|", (1,), {}), ("{:>}", (1,), {}), ("{:<}", ("a",), {}),
                             ("{:}", ("a",), {}), ("a{}b{}c", (1, "x"), {}), ("}}{{", (), {}), ("{:0<5}", (7,), {}), ("{:-05d}", (7,), {}), ("{:+05d}", (7,), {}), ("{:#010x}", (255,), {}), ("{:#o}", (8,), {})]:
    braces(format, *args, **kwargs)
for align in ["", "<", ">", "^", "=", "*^", "0="]:
    for sign in ["", "+", " "]:
        for size in ["", "9", "012", ",", "14,", "016_", ".2", "11.0", "020,.3"]:
            for verb in ["", "e", "f", "g", "%", "G", "F"]:
                if rng.random() < 0.35:
                    braces("{:" + align + sign + size + verb + "}", rng.choice(FLOATS if align + sign + size + verb else FLOATS[:-3]))
            for verb in ["", "d", "x", "b", "X", "o"]:
                if "." not in size and rng.random() < 0.4:
                    braces("{:" + align + sign + rng.choice(["", "#"]) + size + verb + "}", rng.choice(INTS))
    for size in ["", "3", "9", "09", ".2", "11.0", "8.3s"]:
        braces("{:" + align + size + "}|", rng.choice(TEXTS))
for x in FLOATS:
    for spec in ["", ".3", ".17", ".1", "#", "#.3", ",", ".0f", "#.0f", ",.2f", "012,.1f", ".3g", "#g", "e", ".0e", "#.0e", "G", ".1%", "+", "z.2f", "^20"]:
        if spec or math.isfinite(x):
            braces("{:" + spec + "}", x)

LINES = "a\nb\r\nc\rd\ve\ff\x1cg\x1dh\x1ei\x85j\u2028k\u2029l"
for s in [LINES, LINES + "\n", "", "\n", "\r\n\r\n", "a", "a\n\nb", "\r", "é\nü\r", "a\tb\nc"]:
    method(s, "splitlines")
    method(s, "splitlines", True)
for s in ["", "5", "-5", "+5", "abc", "-", "日本", "--1", "12345"]:
    for width in [0, 1, 3, 5, -2]:
        method(s, "zfill", width)
        for name in ["ljust", "rjust", "center"]:
            method(s, name, width)
            method(s, name, width + 1, "*")
method("a", "center", 6, "é")
method("a", "ljust", 5, "ab")
method("a", "ljust", 5, "")
for s in ["", "\t", "a\tb", "ab\tc\td", "abcdefgh\ti", "a\n\tb\tc", "a\r\tb", "日\tb", "\t\ta"]:
    method(s, "expandtabs")
    for size in [0, 1, 4, -1]:
        method(s, "expandtabs", size)
for s in ["", "aBc", "ÀÉî", "123 aZ", "ΑΒγ", "Straße"]:
    if "ß" not in s:
        method(s, "swapcase")
for xs in [[], [3, 1, 2], ["b", "a", "C"], [1.5, 1, -2], [(2, "a"), (1, "b"), (1, "a")]]:
    for reverse in [False, True]:
        add(f"[xs for xs in [{lit(xs)}] if xs.sort(reverse = {reverse}) == None][0]", lambda: sorted(xs, reverse=reverse))
    add(f"[xs for xs in [{lit(xs)}] if xs.reverse() == None][0]", lambda: xs[::-1])
    method(xs, "copy")
    for x in [1, "a", (1, "a")]:
        method(xs, "count", x)
add('[xs for xs in [["b", "A", "c", "B"]] if xs.sort(key = lambda s: s.lower()) == None][0]', lambda: sorted(["b", "A", "c", "B"], key=str.lower))
add('[xs for xs in [["b", "A", "c", "B"]] if xs.sort(key = lambda s: s.lower(), reverse = True) == None][0]',
    lambda: sorted(["b", "A", "c", "B"], key=str.lower, reverse=True))
method({"a": 1}, "copy")
json.dump({"python": sys.version.split()[0], "rows": rows}, sys.stdout, ensure_ascii=False, indent=0)
print()
