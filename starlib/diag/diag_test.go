package diag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

func TestNearest(t *testing.T) {
	for _, tt := range []struct {
		name, candidates, want string
	}{
		{"descripton", "name description params", "description"},
		{"ownr_email", "name owner_email params", "owner_email"},
		{"minRows", "min_rows max_rows", "min_rows"},
		{"prams", "name params", "params"},
		{"colour", "name description params", ""},
		{"tilte", "title artist", "title"},
		{"x", "x y", ""},
		{"", "a b", ""},
		{"row", "rows row_count", "rows"},
	} {
		if got := Nearest(tt.name, strings.Fields(tt.candidates)); got != tt.want {
			t.Errorf("%q among %s: got %q, want %q", tt.name, tt.candidates, got, tt.want)
		}
	}
}

// TestScanPlaces holds the places of tokens against the interpreter's scanner,
// which a caret depends on.
func TestScanPlaces(t *testing.T) {
	for _, src := range []string{
		"x = 1\ny = [2,\n  3]\n", "a\r\nb\r\n\r\nc", "a\rb", "s = \"é\" + x", "s = '''a\nb''' + c\n", "x = \"a\\\nb\" + c",
		"x = 1 \\\n  + y\nz", "# c\nx # d\ny", "if x:\n\ty\n", "r'\\' + x", "f(a)(b)[c].d", "x = 0x1f + 1.5e3", "名 = 値",
	} {
		want := map[position]string{}
		tree, err := (&syntax.FileOptions{}).Parse("a", src, 0)
		if err != nil {
			want = nil // it is only to be scanned without harm
		} else {
			syntax.Walk(tree, func(n syntax.Node) bool {
				switch n := n.(type) {
				case *syntax.Ident:
					want[positionOf(n.NamePos)] = n.Name
				case *syntax.Literal:
					want[positionOf(n.TokenPos)] = n.Raw
				}
				return true
			})
		}
		got := map[position]string{}
		for _, tok := range scan(src) {
			got[tok.at] = tok.text
		}
		for at, text := range want {
			if strings.ReplaceAll(got[at], "\r\n", "\n") != text {
				t.Errorf("%q at %v: got %q, want %q", src, at, got[at], text)
			}
		}
	}
}

// TestNoPythonIsFoundInWhatIsRight: all that is found in a file is told as soon as
// there is one error in it.
func TestNoPythonIsFoundInWhatIsRight(t *testing.T) {
	const src = `"""import os, try: f"{x}" """
# import os; x ** y
load("lib/x.star", "x", y = "z")
N = -1 + +2 - -3
def f(a, b = {"k": 1}, *args, c = lambda v: v, **kwargs):
    """class, with, yield"""
    if a not in b and not c or a != N: return f(*args, **kwargs)
    for i, (j, k) in enumerate(b): pass
    x = [q for q in a if q][1:2:3]
    d = {k: v for k, v in b.items()}
    print("is", r"\d", b"x", rb'\n', x[:], d["from"], a if b else c)
    print(1.5, .5, 0x1F, 0o17, 1e10, 0)
    s = a * -b // c % 2 & 1 | 2 ^ 3 << 4 >> 5
    s += "a"; s -= 1; x[0] = 2
    match = [case for case in s]
    type(match)
    async_ = (a,
              b)
    return assert_(s) == (print)
`
	if _, err := (&syntax.FileOptions{}).Parse("a", src, 0); err != nil {
		t.Fatal(err)
	}
	tokens := scan(src)
	for _, h := range findPython(tokens) {
		t.Errorf("line %d: %q is taken for Python: %s", tokens[h.token].at.line, tokens[h.token].text, h.message)
	}
}

func TestFormatHint(t *testing.T) {
	for src, want := range map[string]string{
		`f"{n} rows"`:                           "`\"{} rows\".format(n)`",
		`f'{a}{b!r:}'`:                          "`'{}{!r}'.format(a, b)`",
		`f"{x:.3f} of {y}"`:                     "`\"{:.3f} of {}\".format(x, y)`",
		`f"no fields"`:                          "`\"no fields\"`",
		`f"{{braces}} {x}"`:                     "`\"{{braces}} {}\".format(x)`",
		`f"{x:>5} {y!s:^8}"`:                    "`\"{:>5} {!s:^8}\".format(x, y)`",
		`f"{d['a']}"`:                           "`\"{}\".format(d['a'])`",
		`f"{x=}"`:                               plainFormat,
		`f"{"`:                                  plainFormat,
		`f"""{x}"""`:                            plainFormat,
		`f"{x:{width}}"`:                        plainFormat,
		`f"}"`:                                  plainFormat,
		`f"{}"`:                                 plainFormat,
		`F"{n}"`:                                "`\"{}\".format(n)`",
		`rf"{n}\d"`:                             "`\"{}\\d\".format(n)`",
		`f"` + strings.Repeat("x", 80) + `{n}"`: plainFormat,
	} {
		if got := formatHint(scan(src)[0]); got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
}

// What Python has and this language has not says what to write here.
func TestHintsOfWhatOnlyPythonHas(t *testing.T) {
	for got, want := range map[string]string{
		nameHint("gzip"):                                "end with .gz or .zst",
		nameHint("zipfile"):                             "archive.entries(path)",
		nameHint("codecs"):                              "encoding = ",
		nameHint("tomllib"):                             "`toml.decode(path)`",
		importHint(scan("import yaml")):                 "`yaml` is always there",
		nameHint("defaultdict"):                         "`d.setdefault(key, []).append(x)`",
		nameHint("Counter"):                             "`counter(items)`",
		nameHint("itertools"):                           "`[x for xs in lists for x in xs]`",
		nameHint("functools"):                           "`sum(xs)`",
		nameHint("heapq"):                               "`sorted(items, key = ...)[:n]`",
		nameHint("Decimal"):                             "such as cents",
		nameHint("string"):                              "`string.digits`",
		nameHint("polars"):                              "csv.dict_reader(path)",
		nameHint("numpy"):                               "`stats` has mean",
		functionHint("now"):                             "`time.now()`",
		functionHint("lower"):                           "`lambda x: x.lower()`",
		functionHint("fromkeys"):                        "`{k: None for k in keys}`",
		functionHint("sort"):                            "`x.sort()`",
		ModuleHint("hash"):                              "`hash.sha256(x)`",
		ModuleHint("json"):                              "`json.decode(text)`",
		importHint(scan("import gzip")):                 "`compression = ",
		importHint(scan("from itertools import chain")): "delete the line: `group_by(",
		importHint(scan("import heapq")):                "delete the line: `sorted(items",
		importHint(scan("import random")):               "random.seeded",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want it to say %s", got, want)
		}
	}
}

func TestFromError(t *testing.T) {
	problem := &Problem{Code: "P2008", Message: "m", Found: "a", Wanted: "b", Hint: "h"}
	list := List{{Code: "P1301", Severity: Error, Message: "x"}}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("download raw/a.csv: refused"), "P4200 download raw/a.csv: refused"},
		{problem, "P2008 m: got a, want b"},
		{fmt.Errorf("task: %w", problem), "P2008 m: got a, want b"},
		{list, "P1301 x"},
		{fmt.Errorf("load: %w", list), "P1301 x"},
		{errors.Join(problem, errors.New("y")), "P2008 m: got a, want b"},
	} {
		got := FromError(tt.err, nil)
		if len(got) != 1 || string(got[0].Code)+" "+got[0].Line1() != tt.want {
			t.Errorf("%v: got %v, want %s", tt.err, got, tt.want)
		}
	}
	if got := FromError(nil, nil); got != nil {
		t.Errorf("no error: got %v", got)
	}
}

// run runs a source whose builtin boom fails with err, and gives its diagnostics.
func run(t *testing.T, src string, err error) (*Sources, List) {
	t.Helper()
	boom := starlark.NewBuiltin("boom", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		return nil, err
	})
	call := starlark.NewBuiltin("call", func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		v, err := starlark.Call(thread, args[0], args[1:], kwargs)
		if err != nil {
			return nil, fmt.Errorf("call: %w", err) // as careless a builtin as there can be
		}
		return v, nil
	})
	names := starlark.StringDict{"boom": boom, "call": call}
	tree, parseErr := (&syntax.FileOptions{}).Parse("a.star", src, 0)
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	s := &Sources{Text: map[string][]byte{"a.star": []byte(src)}, Trees: map[string]*syntax.File{"a.star": tree},
		Parameters: func(string) []string { return []string{"first", "second"} }}
	prog, resolveErr := starlark.FileProgram(tree, names.Has)
	if resolveErr != nil {
		t.Fatal(resolveErr)
	}
	_, runErr := prog.Init(new(starlark.Thread), names)
	return s, FromError(runErr, s)
}

func TestPlaceOfAnArgument(t *testing.T) {
	for _, tt := range []struct {
		src, argument string
		line, column  int
	}{
		{"x = boom(1, 2)\n", "", 1, 5},
		{"x = boom(1, second = 2)\n", "second", 1, 13},
		{"x = boom(1, 2)\n", "second", 1, 13}, // by its position, which the table tells
		{"x = boom(1, 2)\n", "1", 1, 13},
		{"x = boom(\n    1,\n    second = 2,\n)\n", "second", 3, 5},
		{"x = boom(*[1, 2])\n", "1", 1, 5},                // it cannot be seen
		{"x = boom(**{\"second\": 1})\n", "second", 1, 5}, // nor here
		{"x = boom(1)\n", "third", 1, 5},
		{"x = boom(1)\n", "7", 1, 5},
		{"x = [boom][0](1, 2)\n", "0", 1, 15},
	} {
		_, list := run(t, tt.src, &Problem{Code: "P2008", Message: "m", Argument: tt.argument})
		if d := list[0]; d.Line != tt.line || d.Column != tt.column {
			t.Errorf("%q, argument %q: got %d:%d, want %d:%d", tt.src, tt.argument, d.Line, d.Column, tt.line, tt.column)
		}
	}
}

func TestStackOfAnError(t *testing.T) {
	const src = "def inner(n):\n    return boom(n)\n\ndef outer(n):\n    return call(inner, n)\n\nx = outer(1)\n"
	_, list := run(t, src, errors.New("it is broken"))
	d := list[0]
	if got, want := d.Line1(), "a.star:2:12: it is broken"; got != want {
		t.Errorf("got %q, want %q: a builtin in between hides nothing", got, want)
	}
	var names []string
	for _, f := range d.Stack {
		names = append(names, fmt.Sprintf("%s:%d", f.Function, f.Line))
	}
	if want := []string{"<toplevel>:7", "outer:5", "inner:2"}; !slices.Equal(names, want) {
		t.Errorf("got the stack %v, want %v", names, want)
	}
}

// TestKeptError: what an iterator kept has the words, the interpreter's error the place.
func TestKeptError(t *testing.T) {
	const src = "def f():\n    for x in [1, 2]:\n        boom(x)\nf()\n"
	cancelledErr := errors.New("Starlark computation cancelled: read a.csv: broken")
	tree := "a.star"
	s, _ := run(t, src, cancelledErr)
	prog := func() error {
		boom := starlark.NewBuiltin("boom", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			return nil, cancelledErr
		})
		_, err := starlark.ExecFileOptions(&syntax.FileOptions{}, new(starlark.Thread), tree, src, starlark.StringDict{"boom": boom})
		return err
	}
	list := FromError(errors.Join(&Problem{Code: "P4112", Message: "read a.csv: broken"}, prog()), s)
	if got, want := string(list[0].Code)+" "+list[0].Line1(), "P4112 a.star:3:9: read a.csv: broken"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	list = FromError(errors.Join(errors.New("read a.csv: broken"), prog()), s)
	if got, want := list[0].Line1(), "a.star:3:9: read a.csv: broken"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWindowOfLines(t *testing.T) {
	s := &Sources{Text: map[string][]byte{"a": []byte("one\r\ntwo\rthree\nfour")}}
	for n, want := range []string{"", "one", "two", "three", "four", ""} {
		if got := s.line("a", n); got != want {
			t.Errorf("line %d: got %q, want %q", n, got, want)
		}
	}
	if got := s.line("b", 1); got != "" {
		t.Errorf("of an unknown file: got %q", got)
	}
}

// TestRewordTakesOnlyTheInterpreters: an error of a server or a disk, and text of
// the author's in a message, are not taken for what they resemble.
func TestRewordTakesOnlyTheInterpreters(t *testing.T) {
	for _, tt := range []struct {
		err        error
		code, text string
	}{
		{fmt.Errorf("upload a.csv: %w", errors.New("entity too large")), "P4200", "upload a.csv: entity too large"},
		{errors.New("invalid float literal: 5 out of range"), "P4219", "`float`: the text is no number: got 5 out of range, want a number, such as 1.5"},
		{errors.New("int: invalid literal with base 16: a frozen x"), "P4219", "`int`: the text is no whole number: got a frozen x, want digits of base 16"},
		{errors.New("something else"), "P4200", "something else"},
	} {
		_, list := run(t, "x = boom()\n", tt.err)
		p := Problem{Message: list[0].Message, Found: list[0].Found, Wanted: list[0].Wanted}
		if got := p.Error(); string(list[0].Code) != tt.code || got != tt.text {
			t.Errorf("%v: got %s %q, want %s %q", tt.err, list[0].Code, got, tt.code, tt.text)
		}
	}
}

// TestLongNamesAreCut: a name of the author's can be as long as the file.
func TestLongNamesAreCut(t *testing.T) {
	long := strings.Repeat("x", 5000)
	src := long + " = 1\ny = z" + long + "\n"
	tree, err := (&syntax.FileOptions{}).Parse("a.star", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = starlark.FileProgram(tree, func(string) bool { return false })
	for _, d := range FromError(err, &Sources{Text: map[string][]byte{"a.star": []byte(src)}}) {
		if n := len(d.Message) + len(d.Hint) + len(d.Source); n > 6000 {
			t.Errorf("%s has %d bytes", d.Code, n)
		}
	}
}
