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
	thread := new(starlark.Thread)
	if b != nil {
		(&Run{Context: t.Context(), Bounds: b}).Attach(thread)
	}
	globals, err := program.Init(thread, names)
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
		"l = []\ndef g(i):\n    l.append(i)\n    return l\ndef f():\n    g(7)[g(-1)[0] * 0 + len(l) - 2] *= g(3)[-1]\n    g(2)[len(g(4)) - 1] %= 3\n    g(1)[-1] += 5\n    return l\nx = f()",
		"def f():\n    d = {\"k\": [1, 2]}\n    d.get(\"k\")[-1] *= \"ab\"\n    (d[\"k\"][0]) += 1\n    (d.get(\"k\")[1 - 1]) %= 2\n    return d\nx = f()",
		"l = [[3]]\nl[0][-1] *= 2\nlist(l)[0][0 + 0] %= 4\nx = l",
		"def f():\n    l = [1]\n    list(l)[3] *= 2\nx = f()", "def f():\n    l = [1]\n    l[-1] *= None\nx = f()", "def f():\n    len([1])[0] += \"a\"\nx = f()",
		"def f():\n    a, (b, c) = 1, (2, 3)\n    for a, b in [(1 + 1, 2)]:\n        if a * b == 4:\n            c = a + b\n    return c\nx = f()",
		`x = time.duration("1s") * 2 if hasattr(time, "duration") else 1`,
		// Errors, with their places.
		`x = 1 + "a"`, `x = "a" + 1`, `x = "a" + "b" + 1`, `x = [1] + (2,)`, `x = "a" * "b"`, `x = "a" * 1.5`, `x = None * 2`, `x = None + "a"`, `x = {} + "a"`,
		`x = 1 % 0`, `x = [1] % 2`, `x = 1 % "a"`,
		`x = ",".join([1])`, `x = ",".join(1)`, `x = ",".join()`, `x = ",".join(x = [])`, `x = "a".replace(1, 2)`, `x = "a".replace("b")`,
		`x = "a".split("")`, `x = "a".split(1)`,
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
		`x = "ab" * (1 << 29)`:                                  "t.star:1:10",
		`x = (1 << 29) * "ab"`:                                  "t.star:1:15",
		`x = [1] * (1 << 20)`:                                   "t.star:1:9",
		`x = (1, 2) * (1 << 62)`:                                "t.star:1:12",
		`x = b"a" * (1 << 100)`:                                 "t.star:1:10",
		`x = ("a" * 100000) + ("b" * 900000) + ("c" * 100000)`:  "t.star:1:37",
		`x = "%s%s%s" % tuple(["a" * 400000] * 3)`:              "t.star:1:14",
		`x = "%(a)s%(a)s%(a)s" % {"a": "a" * 400000}`:           "t.star:1:23",
		`x = "%r" % ("\x01" * 400000)`:                          "t.star:1:10",
		`x = "%1000000d" % 1 + "%1000000s" % ""`:                "t.star:1:21",
		`x = "%1000000d%.1000000f" % (1, 1.5)`:                  "t.star:1:27",
		`x = "%.1000000d%5s" % (1, "a" * 1000000)`:              "t.star:1:21",
		`x = "{:>1000000}{:é<1000000}".format(1, 2)`:            "t.star:1:37",
		`x = "{:01000000,}".format(1)`:                          "t.star:1:26",
		`x = "{:{}}".format("a", "b" * 1000000 + "b" * 100000)`: "t.star:1:39",
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
		`x = ("a" * 1000000).zfill(1100000)`:                                                                           "t.star:1:26",
		`x = ("a\n" * 100000).splitlines()`:                                                                            "t.star:1:32",
		"def f():\n    s = \"a\"\n    for i in range(40):\n        s += s\n    return s\nx = f()":                      "t.star:4:11",
		"def f():\n    s = \"a\"\n    s *= 1 << 40\n    return s\nx = f()":                                             "t.star:3:7",
		"def f():\n    l = [\"a\"]\n    l.copy()[0] *= 1 << 40\nx = f()":                                               "t.star:3:17",
		"def f():\n    l = [\"%1000000d%1000000d\"]\n    (l.copy()[-1]) %= (1, 2)\nx = f()":                            "t.star:3:20",
		"def f():\n    l = [\"a\"]\n    for i in range(24):\n        l[0 - 1] += l[0]\nx = f()":                        "t.star:4:18",
		"l = [\"a\"]\nl.copy()[-1] *= 1 << 40\nx = l":                                                                  "t.star:2:14",
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

// A format that does not fit its values says so.
func TestFormatsThatDoNotFit(t *testing.T) {
	for expression, want := range map[string]string{
		`"%d" % "a"`:                         "`%d` wants a number, and gets string",
		`"%-5.1f|" % None`:                   "`%-5.1f` wants a number, and gets None",
		`"%d %d" % (1,)`:                     "the format wants 2 values, and gets 1",
		`"%d" % (1, 2)`:                      "the format wants 1 value, and gets 2",
		`"%s" % ()`:                          "the format wants 1 value, and gets 0",
		`"%*d" % 1`:                          "the format wants 2 values, and gets 1",
		`"%*d" % ("a", 1)`:                   "a `*` of the format wants an int, and gets string",
		`"%*d" % (1 << 70, 1)`:               "a width or precision of the format is too large: want at most 1000000",
		`"%1000001d" % 1`:                    "a width or precision of the format is too large: want at most 1000000",
		`"%99999999999d" % 1`:                "a width or precision of the format is too large: want at most 1000000",
		`"{:.9999999}" .format(1.5)`:         "a width or precision of the format is too large: want at most 1000000",
		`"%(a)s" % {}`:                       "the format names a key that the dict does not have: a",
		`"%(a)s" % 1`:                        "`%(a)s` wants a dict, and gets int",
		`"%(a" % {}`:                         "a `%(` of the format has no `)`",
		`"%z" % 1`:                           "`%z` is no conversion",
		`"%é" % 1`:                           "`%é` is no conversion",
		`"%5%" % ()`:                         "`%5%` is no conversion",
		`"100%" % ()`:                        "the format ends within a conversion, `%`",
		`"%c" % "ab"`:                        "`%c` wants one character, and gets 2",
		`"%c" % -1`:                          "the character of a number: got -1, want a code point from 0 to 0x10ffff",
		`"%d" % float("inf")`:                "`%d` wants a number that is finite, and gets +inf",
		`"%f" % (10 * int("1" + "0" * 400))`: "the int is too large for a float",
		`"{}".format()`:                      "the format wants value 1, and there are 0",
		`"{a}".format(1)`:                    "the text has `{a}`, and no argument has that name",
		`"{".format()`:                       "a `{` of the format has no `}`",
		`"}".format()`:                       "a `}` of the format has no `{`",
		`"{0} {}".format(1)`:                 "the format has both `{}` and `{0}`",
		`"{a.b}".format(a = 1)`:              "`{a.b}`: a field takes an argument, not a member or an item of it",
		`"{:q}".format(1)`:                   "`{:q}` is no format",
		`"{!x}".format(1)`:                   "`!x` is no conversion",
		`"{:.2f}".format("a")`:               "`{:.2f}`: `f` is for numbers, and the value is string",
		`"{:+}".format(None)`:                "`{:+}`: a sign, `z`, `#`, `,`, `_` and `=` are for numbers, and the value is None",
		`"{:d}".format(1.5)`:                 "`{:d}`: `d` is for ints, and the value is float",
		`"{:.2d}".format(1)`:                 "`{:.2d}`: a precision is for floats and texts, and the value is int",
		`"{:,x}".format(1)`:                  "`{:,x}`: `,` does not go with `x`, and the value is int",
		`"{:{:{}}}".format(1, 2, 3)`:         "the fields of a format are nested too deep",
		`"{:%Q}".format(time.parse("2026-03-01"))`: "a time format",
	} {
		got, err := evaluate(t, "x = "+expression, &Bounds{})
		var p *diag.Problem
		if !errors.As(err, &p) || p.Code != codeFormat || !strings.HasPrefix(got, want) {
			t.Errorf("%s\n got %s\nwant %s", expression, got, want)
		}
	}
}

// Writing a large int takes long, and nothing looks at a cancel meanwhile.
func TestIntsOfOneTextAreBounded(t *testing.T) {
	for _, expression := range []string{`"%x" * 17 % ((n,) * 17)`, `"%x%s" % (m, [n])`, `("{:x}{:_x}" * 9).format(*([n] * 18))`, `str([1 << 70, m])`} {
		got, err := evaluate(t, `n = int("f" * 262144, 16)`+"\n"+`m = int("f" * 4194304, 16)`+"\nx = "+expression, &Bounds{})
		var p *diag.Problem
		if !errors.As(err, &p) || p.Code != codeTooLarge || !strings.HasPrefix(got, "the ints to be written have too many bits") {
			t.Errorf("%s: got %.200s", expression, got)
		}
	}
}

// A large text is written at its full size, once.
func TestLargeFormatsAreCountedFirst(t *testing.T) {
	for expression, want := range map[string]string{
		`"<%s|%300000d>" % ("a" * 300000, 7)`:                                                  "<" + strings.Repeat("a", 300000) + "|" + strings.Repeat(" ", 299999) + "7>",
		`"{}{:é<300000}{0}".replace("{}", "{0}").replace("{:", "{1:").format("a" * 200000, 7)`: strings.Repeat("a", 200000) + "7" + strings.Repeat("é", 299999) + strings.Repeat("a", 200000),
	} {
		got, err := evaluate(t, "x = "+expression, &Bounds{})
		if err != nil || got != starlark.String(want).String() {
			t.Errorf("%s: got %d bytes, %v, want %d", expression, len(got), err, len(want))
		}
	}
	b := new(Bounds)
	f := &formatter{bounds: b}
	v, err := f.percent("%s%s", starlark.Tuple{starlark.String(strings.Repeat("a", 1<<20)), starlark.String("b")})
	if err != nil || starlark.Len(v) != 1<<20+1 || f.out.Cap() != 0 {
		t.Errorf("got %v, %d bytes kept of the count", err, f.out.Cap())
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
		`"%%" % {}`:                         "%",
		`"A" % {"b": 1}`:                    "A",
		`"%s" % {"b": 1}`:                   `{"b": 1}`,
		`"%%(a)s" % {"a": 1}`:               "%(a)s",
		`"%r|%8r|%.2r" % ("a", "b", "cde")`: `"a"|     "b"|"c`,
		`"{!r:>6}|{!s:5}|{:>6}|{:^6}".format("a", 1, None, True)`:                         `   "a"|1    |  None| True `,
		`"{:>8}|{:8}".format([1], (2,))`:                                                  `     [1]|(2,)    `,
		`"{:%d.%m.%Y} {:>22}".format(time.parse("2026-03-01"), time.parse("2026-03-01"))`: "01.03.2026   2026-03-01T00:00:00Z",
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

func TestFreezable(t *testing.T) {
	nested := func(levels int, wrap func(starlark.Value) starlark.Value) starlark.Value {
		var v starlark.Value = starlark.None
		for range levels {
			v = wrap(v)
		}
		return v
	}
	once := func(v starlark.Value) starlark.Value { return starlark.NewList([]starlark.Value{v}) }
	twice := func(v starlark.Value) starlark.Value { return starlark.Tuple{v, v} }
	twiceInList := func(v starlark.Value) starlark.Value { return starlark.NewList([]starlark.Value{v, v}) }
	itself := starlark.NewList(nil)
	if err := itself.Append(itself); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		value starlark.Value
		ok    bool
	}{
		"a number":                       {starlark.MakeInt(1), true},
		"a list in itself":               {itself, true},
		"lists, not too deep":            {nested(1000, once), true},
		"lists, too deep":                {nested(freezeDepth+10, once), false},
		"tuples shared, a few":           {nested(10, twice), true},
		"tuples shared, too many":        {nested(60, twice), false},
		"lists shared, each frozen once": {nested(60, twiceInList), true},
		"methods of shared tuples":       {starlark.NewBuiltin("m", nil).BindReceiver(nested(60, twice)), false},
	} {
		at, problem := CheckFreezable(starlark.StringDict{"a": starlark.None, "x": tt.value})
		switch {
		case tt.ok && problem != nil:
			t.Errorf("%s: got %v, want none", name, problem)
		case !tt.ok && (problem == nil || at != "x"):
			t.Errorf("%s: got %v at %q, want a problem at x", name, problem, at)
		}
	}
}
