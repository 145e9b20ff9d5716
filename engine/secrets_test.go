package engine_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"perago/engine"
	"perago/starlib"
)

// clocks are the times of log records, in which a short secret may stand by chance.
var clocks = regexp.MustCompile(`("time":|"[a-z_]*ms":)("[^"]*"|[0-9.e+-]+)`)

// What of a secret comes out of an attempt, whatever its body does with it: no
// 8 bytes of it in a row, and no short secret whole.
func TestSecretsStayIn(t *testing.T) {
	const declaration = `
task(
    name = "t",
    params = schema(
        token = field(str, default = "", secret = True),
        price = field(float, default = 0.0, secret = True),
        pin = field(int, default = 0, secret = True),
        m = field(dict, default = {}, secret = True),
    ),
    result = schema(n = int),
    workspace = workspace_spec(post = [forbid_glob("**/*.tmp")]),
)
`
	long := "sk_live_"
	for i := 0; len(long) < 100; i++ {
		long += string(rune('a'+i*7%26)) + string(rune('0'+i*3%10)) + string(rune('A'+i*11%26))
	}
	const token = "hush-hush"
	for _, c := range []struct{ name, body, params, secret string }{
		{"message", `log.info("x" + params.token + "y")`, `{"token": "hush-hush"}`, token},
		{"print", `print(params.token, [params.token], {params.token: 1})`, `{"token": "hush-hush"}`, token},
		{"field", `log.info("x", v = params.token, w = [{"a": params.token}])`, `{"token": "hush-hush"}`, token},
		{"key of a field", `log.info("x", **{params.token: 1})`, `{"token": "hush-hush"}`, token},
		{"key in a field", `log.info("x", v = {params.token: 1})`, `{"token": "hush-hush"}`, token},
		{"params as a field", `log.info("x", v = params, w = dict(params))`, `{"token": "hush-hush"}`, token},
		{"float as a field", `log.info("x", v = params.price)`, `{"price": 98765.0}`, "98765"},
		{"float in a field", `log.info("x", v = [params.price])`, `{"price": 98765.0}`, "98765"},
		{"float in a text", `log.info("costs {}".format(params.price))`, `{"price": 98765.0}`, "98765"},
		{"float as an int", `log.info("costs %d" % int(params.price), v = int(params.price))`, `{"price": 98765.0}`, "98765"},
		{"large float", `log.info("costs %s" % params.price, v = params.price)`, `{"price": 1.25e30}`, "1.25"},
		{"small float", `log.info("costs %s" % params.price, v = [params.price])`, `{"price": 0.0000125}`, "1.25"},
		{"int as a field", `log.info("%d" % params.pin, v = params.pin, w = {"a": params.pin})`, `{"pin": 4711}`, "4711"},
		{"large int", `log.info("%d" % params.pin, v = [params.pin])`, `{"pin": 1234567890123456789}`, "12345678"},
		{"int as progress", `progress(params.pin, total = params.pin, message = str(params.pin))`, `{"pin": 4711}`, "4711"},
		{"float as progress", `progress(params.price)`, `{"price": 98765432.5}`, "98765432"},
		{"progress", `progress(1, message = "x" * 16375 + params.token)`, `{"token": "` + long + `"}`, long},
		{"key of a secret dict", `log.info("x", v = params.m)`, `{"m": {"hush-hush": "v"}}`, token},
		{"value deep in a secret dict", `log.info("x", v = params.m)`, `{"m": {"k": [["hush-hush"]]}}`, token},
		{"path in a guard", `(workspace / (params.token + ".tmp")).write_text("x")`, `{"token": "hush-hush"}`, token},
		{"folder in a guard", `(workspace / params.token).mkdir(); (workspace / params.token / "a.tmp").write_text("x")`, `{"token": "hush-hush"}`, token},
		{"path", `(workspace / params.token).unlink()`, `{"token": "hush-hush"}`, token},
		{"long path", `(workspace / ("d" * 70) / params.token).read_text()`, `{"token": "` + long + `"}`, long},
		{"int", `int(params.token)`, `{"token": "` + long + `"}`, long},
		{"int, cut behind it", `int("Bearer " + params.token)`, `{"token": "` + long + `"}`, long},
		{"int, cut in it", `int("Authorization: Bearer " + "-" * 40 + params.token)`, `{"token": "abcdefghijklmnopqrstuvwxyz0123456789"}`, "abcdefghijklmnopqrstuvwxyz0123456789"},
		{"float", `float("1" * 60 + params.token)`, `{"token": "` + long + `"}`, long},
		{"re", `re.search("(" + params.token, "x")`, `{"token": "` + long + `"}`, long},
		{"time", `time.parse(params.token, "%Y-%m-%d")`, `{"token": "` + long + `"}`, long},
		{"key of a dict", `{}[params.token]`, `{"token": "` + long + `"}`, long},
		{"attribute", `getattr(params, params.token)`, `{"token": "` + long + `"}`, long},
		{"format", `("{" + params.token + "}").format()`, `{"token": "` + long + `"}`, long},
		{"percent", `("%(" + params.token + ")s") % {}`, `{"token": "` + long + `"}`, long},
		{"result", `return {"n": params.token}`, `{"token": "` + long + `"}`, long},
		{"key of the result", `return {params.token: 1}`, `{"token": "` + long + `"}`, long},
		{"fail", `fail("key is " + params.token)`, `{"token": "` + long + `"}`, long},
		{"fail, cut in it", `fail("a" * 4070 + params.token)`, `{"token": "` + long + `"}`, long},
		{"fail_terminal, cut in the reason", `fail_terminal("a" * 480 + params.token)`, `{"token": "` + long + `"}`, long},
		{"field, cut in it", `log.info("x", v = "a" * 16375 + params.token)`, `{"token": "` + long + `"}`, long},
		{"message, cut in it", `log.info("a" * 65515 + params.token)`, `{"token": "` + long + `"}`, long},
		{"on two lines", `fail(params.token); int(params.token)`, `{"token": "first line\nsecond line"}`, "second line"},
		{"int on two lines", `int(params.token)`, `{"token": "first line\nsecond \"line\""}`, "first line"},
		{"repr of repr", `log.info(repr([repr(params.token)]))`, `{"token": "a\\b\"c\\d\"e\\f\"g"}`, `b\"c\\d\"e`},
		{"bytes", `log.info("x", v = bytes(params.token))`, `{"token": "hüsh-hush-hush"}`, "sh-hush-hush"},
		{"short", `log.info("pin " + params.token, v = params.token)`, `{"token": "p4ss"}`, "p4ss"},
		{"short in an error", `int("x" * 20 + params.token)`, `{"token": "p4ss"}`, "p4ss"},
		{"short, cut", `fail("a" * 4091 + params.token)`, `{"token": "p4ss4ss"}`, "p4ss"},
		{"slice", `log.info(params.token[20:40])`, `{"token": "` + long + `"}`, long},
		{"catch", `log.info(str(catch(int, params.token)))`, `{"token": "` + long + `"}`, long},
	} {
		f := newFixture(t, map[string]string{"raw/a.csv": "x"})
		body := c.body
		if !strings.Contains(body, "return") {
			body += "; return {\"n\": 1}"
		}
		m := load(t, declaration+"def run(workspace, params):\n    "+strings.ReplaceAll(body, "; ", "\n    ")+"\n")
		var told strings.Builder
		res := f.runner.Run(t.Context(), m, f.attempt(c.params), engine.Hooks{
			Record:   func(line string) { told.WriteString(line + "\n") },
			Progress: func(p starlib.Progress) { fmt.Fprintf(&told, "%g %.1f %v\n", p.Done, p.Total, p) },
		})
		list, err := json.Marshal(res.Diagnostics)
		if err != nil {
			t.Fatal(err)
		}
		logged := clocks.ReplaceAllString(f.log.String(), "$1")
		for where, text := range map[string]string{"log": logged, "task log": told.String(), "reason": res.Reason, "story": res.Story, "diagnostics": string(list)} {
			for i := 0; i+min(8, len(c.secret)) <= len(c.secret); i++ {
				if part := c.secret[i : i+min(8, len(c.secret))]; strings.Contains(text, part) {
					t.Errorf("%s: %q is in the %s: %s", c.name, part, where, text)
					break
				}
			}
		}
		if told := f.log.String() + told.String() + res.Reason; !strings.Contains(told, "***") && !strings.Contains(c.name, "progress") && !strings.HasPrefix(c.name, "result") && c.name != "params as a field" {
			t.Errorf("%s: nothing was hidden, so nothing was tried: %s", c.name, told)
		}
	}
}

// Whatever a body says and a file is called: people and Conductor get text that no
// terminal obeys, one line a record.
func TestWhatABodySaysIsSafe(t *testing.T) {
	const nasty = `\x1b]0;owned\x07\x1b[2J\r\nINFO forged.star:1 all passed\u009b31m\u202etxt.exe\u2066\u2028`
	for _, body := range []string{
		`log.info("N", **{"N": "N", "v": ["N", {"N": "N"}]})`, `print("N")`, `progress(1, message = "N")`, `fail("N")`, `fail_terminal("N")`,
		`(workspace / "N.tmp").write_text("x")`, `(workspace / "N").read_text()`, `int("N")`, `{}["N"]`, `return {"N": 1}`, `return {"n": "N"}`,
	} {
		f := newFixture(t, map[string]string{"raw/a.csv": "x"})
		if !strings.Contains(body, "return") {
			body += "; return {\"n\": 1}"
		}
		m := load(t, header+"def run(workspace, params):\n    "+strings.ReplaceAll(strings.ReplaceAll(body, "N", nasty), "; ret", "\n    ret")+"\n")
		var lines []string
		res := f.runner.Run(t.Context(), m, f.attempt(`{}`), engine.Hooks{
			Record:   func(line string) { lines = append(lines, line) },
			Progress: func(p starlib.Progress) { lines = append(lines, p.Message) },
		})
		lines = append(lines, strings.Split(res.Reason, "\n")...)
		for _, line := range append(lines, strings.Split(res.Story, "\n")...) {
			if strings.ContainsAny(line, "\x1b\x07\r\n\u009b\u202e\u2066\u2028") {
				t.Errorf("%s: a terminal would obey %q", body, line)
			}
		}
		for _, line := range lines {
			if strings.HasPrefix(line, "INFO forged.star") {
				t.Errorf("%s: a forged line: %q", body, lines)
			}
		}
		if strings.ContainsAny(f.log.String(), "\x1b\u009b\u202e\u2066\u2028") && !strings.Contains(f.log.String(), `"status":"FAILED`) {
			t.Errorf("%s: in the log: %s", body, f.log)
		}
	}
}
