package starlib

import (
	"errors"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// evaluate runs source, as it is or with the bounds in it, and returns repr(x)
// or the error with its place.
func evaluate(t *testing.T, source string, b *Bounds) (string, error) {
	t.Helper()
	options := &syntax.FileOptions{Set: true}
	tree, err := options.Parse("t.star", source, 0)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	names := Predeclared()
	if b != nil {
		b.Predeclare(names)
		b.Rewrite(tree)
	}
	program, err := starlark.FileProgram(tree, names.Has)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	globals, err := program.Init(&starlark.Thread{}, names)
	if err != nil {
		text := err.Error()
		var at *starlark.EvalError
		if errors.As(err, &at) {
			text += " at " + at.CallStack.At(0).Pos.String()
			for _, f := range at.CallStack {
				text += ", " + f.Pos.String()
			}
		}
		return text, err
	}
	return globals["x"].String(), nil
}

// Nothing but large values is different with the bounds in place.
func TestBoundsChangeNothingSmall(t *testing.T) {
	snippets := []string{
		`x = 1 + 2`, `x = 1 + 2.5 * 3`, `x = "a" + "b"`, `x = b"a" + b"b"`, `x = [1] + [2] + [3]`, `x = (1,) + (2,)`,
		`x = "ab" * 3`, `x = 3 * "ab"`, `x = [1] * 2`, `x = 2 * (1, 2)`, `x = "ab" * -1`, `x = "" * (1 << 300)`, `x = b"a" * 2`,
		`x = 7 % 3`, `x = -7 % 3.5`, `x = "%d-%s" % (1, "b")`, `x = "%s" % [1, "a"]`, `x = "%r" % ("a",)`, `x = "%s" % ((1, 2),)`,
		`x = "%(a)s %(b)r" % {"a": 1, "b": [2]}`, `x = "%s" % {"a": 1}`, `x = "100%%" % ()`, `x = "%s %s" % ("é", {1: set([2])})`,
		`x = (1 << 200) * (1 << 200)`, `x = 2 * (1 << 100)`,
		`x = ",".join(["a", "b"])`, `x = "-".join(("a",))`, `x = "".join([])`, `x = "a.b.c".split(".", 1)`, `x = " a  b ".split()`,
		`x = "a\nb\n".splitlines()`, `x = "a.b.c".rsplit(".", 1)`, `x = "aXbX".replace("X", "--")`, `x = "aaa".replace("a", "b", 2)`,
		`x = "{} {a} {0}".format(1, a = [2]) if False else "{a} {}".format(1, a = [2])`, `x = "{0}{0!r}{{}}".format("q")`,
		`x = [s.join(["1", "2"]) for s in ["+", "-"]]`, `x = "a b".elems()`, `x = ",".join("abc".elems())`,
		`x = {"k": "a" + "b"}["k" + ""]`, `x = [1, 2, 3][0 + 1:1 + 2]`, `x = (lambda a, b = 1 + 1: a * b)(3)`, `x = "a" if 1 + 1 == 2 else "b" * 2`,
		"def f(a, *args, k = 2 * 2):\n    a += 1\n    a *= k\n    return a % 7\nx = f(3, k = 1 + 1, *[1])",
		"def f():\n    l = [1]\n    m = l\n    l += [2]\n    l += (3,)\n    m += range(2)\n    return l\nx = f()",
		"def f():\n    s = \"a\"\n    s += \"b\"\n    s *= 2\n    s %= ()\n    return s\nx = f()",
		"def f():\n    d = {\"a\": 1, \"b\": [1]}\n    d[\"a\"] += 5\n    d[\"b\"] += [2]\n    d[\"b\"][0] *= 3\n    return d\nx = f()",
		"def f():\n    n = 3\n    n *= [1]\n    return n\nx = f()",
		"def f():\n    a, (b, c) = 1, (2, 3)\n    for a, b in [(1 + 1, 2)]:\n        if a * b == 4:\n            c = a + b\n    return c\nx = f()",
		`x = time.duration("1s") * 2 if hasattr(time, "duration") else 1`,
		// Errors, with their places.
		`x = 1 + "a"`, `x = "a" + 1`, `x = "a" + "b" + 1`, `x = [1] + (2,)`, `x = "a" * "b"`, `x = "a" * 1.5`, `x = None * 2`, `x = None + "a"`, `x = {} + "a"`,
		`x = "%d" % "a"`, `x = "%d %d" % (1,)`, `x = "%d" % (1, 2)`, `x = "%(a)s" % {}`, `x = "%z" % 1`, `x = 1 % 0`, `x = "%s" % ()`,
		`x = ",".join([1])`, `x = ",".join(1)`, `x = ",".join()`, `x = ",".join(x = [])`, `x = "a".replace(1, 2)`, `x = "a".replace("b")`,
		`x = "{}".format()`, `x = "{a}".format(1)`, `x = "{".format()`, `x = "{0} {}".format(1)`, `x = "a".split("")`, `x = "a".split(1)`,
		`x = (1).join([])`, `x = [1].join("a")`, `x = None.format`, `x = "a".jion`,
		"def f():\n    s = 1\n    s += \"a\"\n    return s\nx = f()",
		"def f():\n    l = [1]\n    l += 1\n    return l\nx = f()",
		"def f():\n    s += 1 + 1\n    return s\nx = f()",
		"def f():\n    d = {}\n    d[\"a\"] += \"b\"\n    return d\nx = f()",
		"l = [1]\ndef f():\n    return l\nx = [a for a in f() + [1 + \"\"]]",
	}
	for _, s := range snippets {
		want, _ := evaluate(t, s, nil)
		got, _ := evaluate(t, s, &Bounds{})
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", s, got, want)
		}
	}
}

// What would be too large is refused at its place before any of it is made.
func TestBoundsRefuseWhatIsTooLarge(t *testing.T) {
	const most = 1 << 20
	cases := map[string]string{
		`s = "a" * 1000000
x = s + s`: "t.star:2:7",
		`x = "ab" * (1 << 29)`:                                 "t.star:1:10",
		`x = (1 << 29) * "ab"`:                                 "t.star:1:15",
		`x = [1] * (1 << 20)`:                                  "t.star:1:9",
		`x = (1, 2) * (1 << 62)`:                               "t.star:1:12",
		`x = b"a" * (1 << 100)`:                                "t.star:1:10",
		`x = ("a" * 100000) + ("b" * 900000) + ("c" * 100000)`: "t.star:1:37",
		`x = "%s%s%s" % tuple(["a" * 400000] * 3)`:             "t.star:1:14",
		`x = "%(a)s%(a)s%(a)s" % {"a": "a" * 400000}`:          "t.star:1:23",
		`x = "%r" % ("a" * 400000)`:                            "t.star:1:10",
		"def f():\n    l = [1]\n    for i in range(60):\n        l = [l, l]\n    return \"%s\" % l\nx = f()":       "t.star:5:17",
		"def f():\n    l = [1]\n    for i in range(60):\n        l = [l, l]\n    return \"{}\".format(l)\nx = f()": "t.star:5:23",
		`x = "{0}{0}{0}".format("a" * 400000)`:                                                                         "t.star:1:23",
		`x = "{a}{a}{a}".format(a = "a" * 400000)`:                                                                     "t.star:1:23",
		`x = ("a" * 1000).join(["a"] * 2000)`:                                                                          "t.star:1:22",
		`x = ("a" * 10000).join(("a" * 2000).elems())`:                                                                 "t.star:1:23",
		`x = ("a" * 10000).replace("a", "b" * 1000)`:                                                                   "t.star:1:26",
		`x = ("a" * 100000).replace("", "b" * 1000)`:                                                                   "t.star:1:27",
		`x = ("a," * 100000).split(",")`:                                                                               "t.star:1:26",
		`x = ("a " * 100000).split()`:                                                                                  "t.star:1:26",
		`x = ("a\n" * 100000).splitlines()`:                                                                            "t.star:1:32",
		"def f():\n    s = \"a\"\n    for i in range(40):\n        s += s\n    return s\nx = f()":                      "t.star:4:11",
		"def f():\n    s = \"a\"\n    s *= 1 << 40\n    return s\nx = f()":                                             "t.star:3:7",
		"def f():\n    n = 1 << 40\n    n *= \"a\"\n    return n\nx = f()":                                             "t.star:3:7",
		"def f():\n    l = [1]\n    for i in range(40):\n        l += l\n    return l\nx = f()":                        "t.star:4:11",
		"def f():\n    d = {\"k\": [1]}\n    for i in range(40):\n        d[\"k\"] += d[\"k\"]\n    return d\nx = f()": "t.star:4:16",
		"def f():\n    n = 3\n    for i in range(60):\n        n = n * n\n    return n\nx = f()":                       "t.star:4:15",
		"def f():\n    n = 3\n    for i in range(60):\n        n *= n\n    return n\nx = f()":                          "t.star:4:11",
	}
	for s, at := range cases {
		b := &Bounds{}
		b.SetMost(most)
		text, err := evaluate(t, s, b)
		var p *diag.Problem
		if !errors.As(err, &p) || p.Code != codeTooLarge {
			t.Errorf("%s\n got %.200s, want a value that is too large", s, text)
			continue
		}
		if !strings.Contains(text, at) {
			t.Errorf("%s\n got %s, want it at %s", s, text, at)
		}
	}
}

func TestBoundsNoteTheLargest(t *testing.T) {
	b := &Bounds{}
	b.SetMost(1 << 20)
	if _, err := evaluate(t, `x = "a" * 1000`, b); err != nil || b.Largest() != 0 {
		t.Errorf("after a small value: %d, %v; want 0", b.Largest(), err)
	}
	if _, err := evaluate(t, `x = "a" * 600000`, b); err != nil || b.Largest() != 600000 {
		t.Errorf("after a large value: %d, %v; want 600000", b.Largest(), err)
	}
}

// A method that is taken by its name is held against the bounds as well.
func TestBoundsHoldForGetattr(t *testing.T) {
	b := &Bounds{}
	b.SetMost(1 << 20)
	thread := &starlark.Thread{}
	(&Run{Context: t.Context(), Bounds: b}).Attach(thread)
	_, err := starlark.ExecFileOptions(&syntax.FileOptions{}, thread, "t.star", `x = getattr("a" * 1000, "join")(["a"] * 2000)`, Predeclared())
	var p *diag.Problem
	if !errors.As(err, &p) || p.Code != codeTooLarge {
		t.Errorf("got %v, want a value that is too large", err)
	}
}

// What becomes of a float or a dict in a format is Python's.
func TestFormatsAsPython(t *testing.T) {
	for expression, want := range map[string]string{
		`"%s %r" % (1234567.5, 1e6)`: "1234567.5 1000000.0",
		`"%s" % 1234567.5`:           "1234567.5",
		`"%s" % (1e15,)`:             "1000000000000000.0",
		`"%d %s" % (1e6, 1e6)`:       "1000000 1000000.0",
		`"%s%%" % float("1e6")`:      "1000000.0%",
		`"%s" % [1e6]`:               "[1000000.0]",
		`"%(a)s %(a)d %(b)s" % {"a": 1234567.5, "b": [1e6]}`:    "1234567.5 1234567 [1000000.0]",
		`"{} {a} {b}".format(1234567.5, a = 1e6, b = [0.0001])`: "1234567.5 1000000.0 [0.0001]",
		`"%%" % {}`:           "%",
		`"A" % {"b": 1}`:      "A",
		`"%s" % {"b": 1}`:     `{"b": 1}`,
		`"%%(a)s" % {"a": 1}`: "%(a)s",
	} {
		if got, err := evaluate(t, "x = "+expression, new(Bounds)); err != nil || got != starlark.String(want).String() {
			t.Errorf("%s: got %s, %v, want %q", expression, got, err, want)
		}
	}
	in := "def f():\n    s = \"%s\"\n    s %= 1e6\n    return s\nx = f()"
	if got, _ := evaluate(t, in, new(Bounds)); got != `"1000000.0"` {
		t.Errorf("in place: got %s", got)
	}
}
