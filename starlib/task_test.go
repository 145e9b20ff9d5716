package starlib

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/workspace"
)

func TestTask(t *testing.T) {
	task := mustDeclare(t, `
task(
    name = "a.b",
    description = "d",
    owner_email = "a@b.c",
    params = schema(x = int),
    result = schema(y = str),
    workspace = workspace_spec(prefix = " /a/b ", pre = [require_file("x")], post = (forbid_glob("*.tmp"), require_glob("*", 0, 3)), read_only = True),
    controls = controls(retry = retry(count = 0), limits = limits(concurrent_exec_limit = 2)),
    strict_params = True,
    resources = resources(memory = "1GB", seconds = 5, steps = 7, files = 9, scratch = "1KB", output = "3MB"),
)`)
	if got, want := fmt.Sprint(task.Name, task.Description, task.OwnerEmail, task.StrictParams), "a.bda@b.c true"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := task.At, (Position{File: "t.star", Line: 2, Column: 5}); got != want {
		t.Errorf("at: got %v, want %v", got, want)
	}
	if got, want := task.Params.String()+task.Result.String(), "schema(x = int)schema(y = str)"; got != want {
		t.Errorf("schemas: got %s, want %s", got, want)
	}
	w := task.Workspace
	if w.Prefix != "a/b" || !w.ReadOnly || fmt.Sprint(w.Pre, w.Post) != `[require_file("x")] [forbid_glob("*.tmp") require_glob("*", min_count = 0, max_count = 3)]` {
		t.Errorf("workspace: got %+v", w)
	}
	if got, want := task.Resources, (Resources{Memory: 1 << 30, Seconds: 5, Steps: 7, Files: 9, Scratch: 1 << 10, Output: 3 << 20, Threads: 1}); got != want {
		t.Errorf("resources: got %v, want %v", got, want)
	}
	if r := task.Controls.Retry; r.Count != 0 || r.DelaySeconds != 60 || task.Controls.Timeout.ResponseSeconds != 600 || *task.Controls.Limits.ConcurrentExecLimit != 2 {
		t.Errorf("controls: got %+v", task.Controls)
	}
}

func TestTaskDefaults(t *testing.T) {
	for _, src := range []string{
		`task(name = "t")`,
		`task(name = "t", params = None, result = None, workspace = None, controls = None, resources = None, description = None, owner_email = None)`,
		`task(name = "t", controls = controls(), resources = resources(), params = schema())`,
		`task(name = "t", controls = controls(retry = retry(), timeout = timeout(), limits = limits()))`,
	} {
		task := mustDeclare(t, src)
		retry, timeout := task.Controls.Retry, task.Controls.Timeout
		retry.at, timeout.at = Position{}, Position{}
		if want := (Retry{Count: 3, Logic: "FIXED", DelaySeconds: 60, On: "any"}); retry != want {
			t.Errorf("%s: got %+v, want %+v", src, retry, want)
		}
		if want := (Timeout{Policy: "TIME_OUT_WF", ResponseSeconds: 600}); timeout != want {
			t.Errorf("%s: got %+v, want %+v", src, timeout, want)
		}
		if task.Controls.Limits != (ExecutionLimits{}) || task.Controls.PublishBudget != nil || task.Resources != (Resources{Memory: 512 << 20, Files: 1_000_000, Scratch: 10 << 30, Output: 10 << 30, Threads: 1}) {
			t.Errorf("%s: got %+v %+v", src, task.Controls, task.Resources)
		}
		if task.Workspace != nil || task.Result != nil || task.StrictParams || len(task.Params.Fields) != 0 {
			t.Errorf("%s: got %+v", src, task)
		}
	}
	if spec := mustDeclare(t, `task(name = "t", workspace = workspace_spec())`).Workspace; spec.Prefix != "" || spec.ReadOnly || spec.Pre != nil {
		t.Errorf("workspace_spec(): got %+v, want the whole repository", spec)
	}
}

// budget is a publish_budget, with one argument changed.
func budget(name, value string) string {
	args := "observed_merge_p99_seconds = 20, safety_margin_seconds = 10, lakefs_merge_timeout_seconds = 60, " +
		"conductor_completion_timeout_seconds = 30, worker_shutdown_grace_seconds = 30, heartbeat_interval_seconds = 20"
	if i := strings.Index(args, name+" = "); name != "" {
		end := i + strings.IndexByte(args[i:]+",", ',')
		args = args[:i] + name + " = " + value + args[end:]
	}
	return "publish_budget(" + args + ")"
}

func TestDeclarationErrors(t *testing.T) {
	for _, c := range []struct{ src, code, argument, says string }{
		// task
		{`task()`, "P2005", "", "missing argument `name`"},
		{`task("t")`, "P2007", "", "keywords only"},
		{`task(name = 1)`, "P2008", "name", "got int, want string"},
		{`task(name = "")`, "P2102", "name", `got "", want a name`},
		{`task(name = "  ")`, "P2102", "name", "want a name"},
		{`task(name = " a")`, "P2102", "name", "no space at the start or end"},
		{`task(name = "a/b")`, "P2102", "name", "no / and no \\"},
		{`task(name = "a\\b")`, "P2102", "name", "no / and no \\"},
		{`task(name = "a\nb")`, "P2102", "name", "no control characters"},
		{`task(name = "a" * 256)`, "P2102", "name", "at most 255 bytes"},
		{`task(name = "t", nam = 1)`, "P2004", "nam", "no argument `nam`"},
		{`task(name = "t", ownr_email = "")`, "P2004", "ownr_email", "no argument"},
		{`task(name = "t", owner_email = "")`, "P2103", "owner_email", "one @"},
		{`task(name = "t", owner_email = "a@b@c")`, "P2103", "owner_email", "one @"},
		{`task(name = "t", owner_email = "a b@c")`, "P2103", "owner_email", "no spaces"},
		{`task(name = "t", owner_email = "@c")`, "P2103", "owner_email", "both sides"},
		{`task(name = "t", params = {"a": str})`, "P2008", "params", "got dict, want schema"},
		{`task(name = "t", params = int)`, "P2008", "params", "want schema"},
		{`task(name = "t", result = list_of(str))`, "P2008", "result", "got type, want schema"},
		{`task(name = "t", strict_params = 1)`, "P2008", "strict_params", "want bool"},
		{`task(name = "t", controls = retry())`, "P2008", "controls", "got retry, want controls"},
		{`task(name = "t", workspace = "/")`, "P2008", "workspace", "want workspace_spec"},
		{"task(name = \"t\")\ntask(name = \"u\")", "P2104", "", "got `t`, declared at line 1 already, want one task a file"},

		// schema, types
		{`schema(str)`, "P2007", "", ""},
		{`schema(a = "str")`, "P2110", "a", "field `a` is not a type"},
		{`schema(a = 1)`, "P2110", "a", "got 1"},
		{`schema(a = None)`, "P2110", "a", "got None"},
		{`schema(a = [str])`, "P2110", "a", "got list"},
		{`schema(a = {str: int})`, "P2110", "a", "got dict"},
		{`schema(a = tuple)`, "P2110", "a", "got the function tuple"},
		{`schema(a = any)`, "P2110", "a", "got the function any"},
		{`schema(a = "x".upper)`, "P2110", "a", "is not a type"},
		{`schema(a = lambda: str)`, "P2110", "a", "is not a type"},
		{`schema(a = list_of)`, "P2110", "a", "got the function list_of"},
		{`schema(**{"": str})`, "P2117", "", "1 to 255 bytes"},
		{`schema(**{"a" * 300: str})`, "P2117", strings.Repeat("a", 300), "1 to 255 bytes"},
		{`list_of()`, "P2005", "", "missing argument `type`"},
		{`list_of("str")`, "P2110", "0", "is not a type"},
		{`list_of(type = 1)`, "P2110", "type", "is not a type"},
		{`map_of(field(int, default = 1))`, "P2122", "0", "a default has no meaning here"},
		{`union(int)`, "P2115", "", "got 1, want at least 2"},
		{`union(int, None)`, "P2110", "1", "is not a type"},
		{`one_of()`, "P2115", "", "no values"},
		{`one_of("a", 1.5)`, "P2115", "1", "value 2: got 1.5, want a string, an int or a bool"},
		{`one_of(["a"])`, "P2115", "0", "got list"},
		{`one_of("a", "b", "a")`, "P2115", "2", "same value twice"},

		// field
		{`field()`, "P2005", "", "missing argument `type`"},
		{`field(field(str, default = "x"))`, "P2110", "0", "itself a field"},
		{`field(str, ge = 1)`, "P2111", "ge", "`ge` does not fit the type: got str, want int or float"},
		{`field(bool, lt = 1)`, "P2111", "lt", "does not fit"},
		{`field(int, min_length = 1)`, "P2111", "min_length", "want str"},
		{`field(list_of(str), pattern = "x")`, "P2111", "pattern", "want str"},
		{`field(str, min_items = 1)`, "P2111", "min_items", "want list"},
		{`field(dict, unique_items = True)`, "P2111", "unique_items", "want list"},
		{`field(union(int, str), ge = 1)`, "P2111", "ge", "does not fit"},
		{`field(one_of(1, 2), ge = 1)`, "P2111", "ge", "does not fit"},
		{`field(date(), pattern = "x")`, "P2111", "pattern", "does not fit"},
		{`field(optional(str), ge = 1)`, "P2111", "ge", "does not fit"},
		{`field(int, ge = "1")`, "P2008", "ge", "got string, want int or float"},
		{`field(int, ge = True)`, "P2008", "ge", "got bool"},
		{`field(float, le = float("inf"))`, "P2106", "le", "want a finite number"},
		{`field(float, le = float("nan"))`, "P2106", "le", "want a finite number"},
		{`field(int, multiple_of = 0)`, "P2106", "multiple_of", "got 0, want more than 0"},
		{`field(str, min_length = -1)`, "P2106", "min_length", "got -1, want at least 0"},
		{`field(str, pattern = "(")`, "P2112", "pattern", "not a regular expression"},
		{`field(str, pattern = "(?=a)")`, "P2112", "pattern", "not a regular expression"},
		{`field(int, ge = 2, le = 1)`, "P2109", "ge", "got ge = 2 and le = 1"},
		{`field(int, gt = 1, le = 1)`, "P2109", "gt", "leave no value"},
		{`field(float, ge = 1.5, lt = 1.5)`, "P2109", "ge", "leave no value"},
		{`field(str, min_length = 2, max_length = 1)`, "P2109", "min_length", "leave no value"},
		{`field(list, min_items = 2, max_items = 1)`, "P2109", "min_items", "leave no value"},
		{`field(optional(field(int, ge = 5)), le = 4)`, "P2109", "ge", "leave no value"},
		{`field(int, default = "1")`, "P2113", "default", `got "1", want an int`},
		{`field(int, ge = 1, default = 0)`, "P2113", "default", "got 0, want at least 1"},
		{`field(str, default = None)`, "P2113", "default", "got null, want a string"},
		{`field(list_of(int), default = [1, "x"])`, "P2113", "default", "at /1: got \"x\", want an int"},
		{`field(schema(a = int), default = {})`, "P2113", "default", "at /a: got nothing, want an int"},
		{`field(schema(a = field(int, default = 1)), default = {"b": 1})`, "P2113", "default", "at /b: got a field that is not declared"},
		{`field(one_of("a"), default = "b")`, "P2113", "default", `want "a"`},
		{`field(date(), default = "x")`, "P2113", "default", "want a date"},
		{`field(str, default = len)`, "P2114", "default", "got the function len, want a value that JSON can hold"},
		{`field(float, default = float("nan"))`, "P2114", "default", "want a finite number"},
		{`field(dict, default = {1: 2})`, "P2114", "default", "got the key 1, want a string as the key"},
		{`field(list, examples = "x")`, "P2008", "examples", "want list"},
		{`field(list, examples = [len])`, "P2114", "examples", "example 1 is not JSON"},
		{`field(str, secret = "x")`, "P2008", "secret", "want bool"},
		{`field(str, "x")`, "P2007", "", "too many positional"},
		{`field(str, secret = True, min_length = 9, default = "hunter2")`, "P2113", "default", "got a secret, want at least 9 characters"},

		// workspace
		{`workspace_spec(prefix = "")`, "P2118", "prefix", "bad `prefix`"},
		{`workspace_spec(prefix = "a/")`, "P2118", "prefix", "bad `prefix`"},
		{`workspace_spec(prefix = "/a/../b")`, "P2118", "prefix", "bad `prefix`"},
		{`workspace_spec(prefix = "a\\b")`, "P2118", "prefix", "bad `prefix`"},
		{`workspace_spec(pre = require_file("x"))`, "P2008", "pre", "got guard, want list of guard"},
		{`workspace_spec(pre = "x")`, "P2008", "pre", "got string"},
		{`workspace_spec(post = ["x"])`, "P2008", "post", "item 0 of `post`: got \"x\", want a guard"},
		{`require_file("")`, "P2119", "0", "bad `path`"},
		{`require_file("/a")`, "P2119", "0", "bad `path`"},
		{`require_file(path = "a/../b")`, "P2119", "path", "bad `path`"},
		{`require_dir("C:/a")`, "P2119", "0", "drive"},
		{`require_dir("a\\b")`, "P2119", "0", "bad `path`"},
		{`require_glob("a/[b")`, "P2120", "0", "from character 3"},
		{`require_glob("a**")`, "P2120", "0", "bad `pattern`"},
		{`forbid_glob("../*")`, "P2120", "0", "bad `pattern`"},
		{`require_glob("*", min_count = -1)`, "P2106", "min_count", "got -1, want at least 0"},
		{`require_glob("*", min_count = 3, max_count = 2)`, "P2109", "max_count", "got 2, want at least 3"},
		{`require_glob("*", max_count = 0)`, "P2109", "max_count", "got 0, want at least 1"},
		{`require_glob("*", 1.5)`, "P2008", "1", "got float, want int"},

		// controls
		{`retry(count = 11)`, "P2106", "count", "got 11, want at most 10"},
		{`retry(count = -1)`, "P2106", "count", "want at least 0"},
		{`retry(logic = "EXPONENTIAL_BACKOF")`, "P2107", "logic", `want one of "FIXED", "EXPONENTIAL_BACKOFF", "LINEAR_BACKOFF"`},
		{`retry(delay_seconds = 1.5)`, "P2008", "delay_seconds", "got float, want int"},
		{`retry(delay_seconds = True)`, "P2008", "delay_seconds", "got bool"},
		{`timeout(policy = "retry")`, "P2107", "policy", `got "retry"`},
		{`timeout(seconds = 1 << 40)`, "P2106", "seconds", "at most 2147483647"},
		{`timeout(seconds = 1 << 80)`, "P2009", "seconds", ""},
		{`limits(rate_limit_per_frequency = 1)`, "P2108", "rate_limit_per_frequency", "without `rate_limit_frequency_in_seconds`"},
		{`limits(rate_limit_frequency_in_seconds = 1)`, "P2108", "rate_limit_frequency_in_seconds", "want both or none"},
		{`publish_budget()`, "P2005", "", "missing argument"},
		{budget("lakefs_merge_timeout_seconds", "29"), "P2109", "lakefs_merge_timeout_seconds", "got 29, want at least 30"},
		{budget("heartbeat_interval_seconds", "0"), "P2106", "heartbeat_interval_seconds", "got 0, want at least 1"},
		{budget("safety_margin_seconds", "-1"), "P2106", "safety_margin_seconds", "want at least 0"},
		{`controls(retry = timeout())`, "P2008", "retry", "got timeout, want retry"},
		{`task(name = "t", controls = controls(publish_budget = ` + budget("", "") + `))`, "P2123", "controls", "a publish_budget without a workspace"},
		{`resources(output = "all of it")`, "P2121", "output", "want a number and KB, MB or GB"},
		{`resources(memory = "512 apples")`, "P2121", "memory", "want a number and KB, MB or GB"},
		{`resources(memory = 512)`, "P2008", "memory", "got int, want string"},
		{`resources(seconds = -1)`, "P2106", "seconds", "at least 0"},
		{`resources(steps = -1)`, "P2106", "steps", "at least 0"},
	} {
		_, _, err := declare(c.src)
		if err == nil {
			t.Errorf("%s: no error, want %s", c.src, c.code)
			continue
		}
		p := problemOf(t, err)
		if string(p.Code) != c.code || p.Argument != c.argument || !strings.Contains(p.Error(), c.says) {
			t.Errorf("%s\ngot  %s %q %v\nwant %s %q %s", c.src, p.Code, p.Argument, p, c.code, c.argument, c.says)
		}
		if text := fmt.Sprint(*p); strings.Contains(text, "hunter2") || strings.Contains(text, "starlark.") {
			t.Errorf("%s: %s", c.src, text)
		}
	}
}

func TestDeclarationHints(t *testing.T) {
	for src, want := range map[string]string{
		`schema(a = "str")`:                         "write str without quotes",
		`schema(a = "x")`:                           `write one_of("x") for a fixed value, or field(str, default = "x") for a default`,
		`schema(a = 3)`:                             "write one_of(3) for a fixed value, or field(int, default = 3) for a default",
		`schema(a = [str])`:                         "write list_of(T) for a list of T",
		`schema(a = datetime)`:                      "write datetime()",
		`schema(a = any)`:                           "write anything() for any value",
		`task(name = "t", params = {})`:             "write schema(name = type, ...)",
		`task(name = "t", result = str)`:            "the result is always an object: write schema(name = type, ...)",
		`field(list_of(str), min_length = 1)`:       "write min_items for the number of items, or list_of(field(str, min_length = ...)) for each item",
		`field(union(int, str), ge = 1)`:            "put it on the member it is for: union(field(int or float, ge = ...), ...)",
		`field(int, default = None)`:                "write field(optional(int), default = None)",
		`field(str, pattern = "a(?!b)")`:            "look-around and back-references are not supported: matching takes linear time, whatever the text",
		`retry(logic = "LINEAR")`:                   "",
		`retry(logic = "FIXD")`:                     `did you mean "FIXED"?`,
		`workspace_spec(pre = require_file("x"))`:   `write pre = [require_file("x")]`,
		`task(name = "t", workspce = 1)`:            "did you mean `workspace`?",
		`task(name = "t", controls = {"retry": 3})`: "write controls(...)",
	} {
		_, _, err := declare(src)
		if got := problemOf(t, err).Hint; got != want {
			t.Errorf("%s\ngot  %s\nwant %s", src, got, want)
		}
	}
}

func TestTaskIsRefusedInALoadedFile(t *testing.T) {
	c := &call{thread: newThread(&Declaration{Loaded: true}), builtin: &Builtin{}}
	_, err := makeTask(c)
	if p := problemOf(t, err); p.Code != "P2105" {
		t.Errorf("got %s, want P2105", p.Code)
	}
}

func TestSchemaSizeIsBounded(t *testing.T) {
	double := "a = int\n"
	for i := range 20 {
		double += fmt.Sprintf("a%d = union(a%s, a%s)\n", i, suffix(i), suffix(i))
	}
	nest := "a = list_of(int)\n"
	for i := range 60 {
		nest += fmt.Sprintf("a%d = optional(a%s)\n", i, suffix(i))
	}
	wide := "schema(**{\"f%d\" % i: int for i in range(20000)})"
	for src, want := range map[string]string{double: "types in one schema", nest: "deep, want at most 50", wide: "types in one schema"} {
		_, _, err := declare(src)
		if p := problemOf(t, err); p.Code != "P2116" || !strings.Contains(p.Error(), want) {
			t.Errorf("got %v, want %s", p, want)
		}
	}
}

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprint(i - 1)
}

func TestWarnings(t *testing.T) {
	const owner = `name = "t", owner_email = "a@b.c", `
	spec := `workspace = workspace_spec(), `
	for _, c := range []struct{ args, want string }{
		{owner, ""},
		{`name = "t", `, "P5101 task("},
		{owner + `controls = controls(timeout = timeout(seconds = 10))`, "P5103 timeout("},
		{owner + `controls = controls(timeout = timeout(seconds = 600))`, ""},
		{owner + `controls = controls(retry = retry(max_delay_seconds = 59))`, "P5104 retry("},
		{owner + `controls = controls(retry = retry(max_delay_seconds = 60))`, ""},
		{owner + spec + `controls = controls(publish_budget = ` + budget("", "") + `)`, ""},
		{owner + spec + `controls = controls(timeout = timeout(response_seconds = 140), publish_budget = ` + budget("", "") + `)`, ""},
		{owner + spec + `controls = controls(timeout = timeout(response_seconds = 139), publish_budget = ` + budget("", "") + `)`, "P5102 timeout("},
		{owner + spec + `controls = controls(publish_budget = ` + budget("lakefs_merge_timeout_seconds", "1000") + `)`, "P5102 publish_budget("},
		{owner + `workspace = workspace_spec(read_only = True), controls = controls(timeout = timeout(response_seconds = 1), publish_budget = ` + budget("", "") + `)`, "P5105 publish_budget("},
	} {
		var got []string
		src := "task(" + c.args + ")"
		for _, d := range Warnings(mustDeclare(t, src)) {
			called := src[:d.Column] // up to the parenthesis that the place is
			got = append(got, string(d.Code)+" "+called[strings.LastIndexAny(called[:len(called)-1], " (")+1:])
			if d.Severity != diag.Warning || d.File != "t.star" || d.Line != 1 || d.Hint == "" {
				t.Errorf("%s: got %+v", c.args, d)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.args, strings.Join(got, ", "), c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"512MiB": 512 << 20, "512MB": 512 << 20, "1GB": 1 << 30, " 1.5 gib ": 3 << 29, "10": 10, "7B": 7, "2TB": 2 << 40, "0": 0, "0.5KB": 512,
	} {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("%q: got %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "MB", "-1MB", "1 M", "1PB", "1e3MB", "1,5MB", "1.2.3MB", "infMB", "0x10", "9999999999TB", "1MB MB", "MB1"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q: got %d, want an error", s, got)
		}
	}
}

func TestExamplesOfTheDeclarationsWork(t *testing.T) {
	for _, b := range declarationBuiltins() {
		src := b.Example
		if src == "" {
			continue
		}
		if task, _, err := declare(src); err != nil {
			t.Errorf("%s: %v\n%s", b.Name, err, src)
		} else if b.Name == "task" && (task == nil || task.Workspace != (*workspace.Spec)(nil)) {
			t.Errorf("%s: got %+v", b.Name, task)
		}
	}
}

func TestDeclarationsAreDocumented(t *testing.T) {
	for _, b := range declarationBuiltins() {
		if b.Doc == "" || b.Returns == "" || b.Phase != Declare || b.call == nil {
			t.Errorf("%s: a part of the row is missing", b.Name)
		}
		for _, p := range b.Params {
			if p.Name == "" || p.Type == "" || p.Doc == "" {
				t.Errorf("%s: parameter %q: a part of the row is missing", b.Name, p.Name)
			}
		}
	}
}

// declare runs the top level of a task file that uses declarations only.
func declare(src string) (*Task, starlark.StringDict, error) {
	names := make(starlark.StringDict)
	rows := declarationBuiltins()
	for i := range rows {
		names[rows[i].Name] = rows[i].value(nil)
	}
	var d Declaration
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, newThread(&d), "t.star", src, names)
	return d.Task, globals, err
}

func newThread(d *Declaration) *starlark.Thread {
	thread := new(starlark.Thread)
	d.Attach(thread)
	return thread
}

func mustDeclare(t testing.TB, src string) *Task {
	t.Helper()
	task, _, err := declare(src)
	if err != nil {
		t.Fatalf("declare: %v\n%s", err, src)
	}
	return task
}

// problemOf is the Problem that an error wraps.
func problemOf(t *testing.T, err error) *diag.Problem {
	t.Helper()
	var p *diag.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no Problem", err)
	}
	return p
}

func paramsTask(t testing.TB, fields string) *Task {
	t.Helper()
	return mustDeclare(t, `task(name = "t", params = schema(`+fields+`))`)
}
