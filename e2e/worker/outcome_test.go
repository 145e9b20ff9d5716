//go:build linux

package worker

import (
	"net/http"
	"strings"

	"perago/e2e/wire"
)

// outcome is a row of the table of what becomes of an attempt: one workflow of
// one task, and what a person sees of it at Conductor.
type outcome struct {
	name   string
	task   string            // its source: act, with these words in place of others
	params map[string]any    // nil: none
	place  map[string]string // of the input's workspace, instead of what is right
	branch string            // made of the input commit, and published to; "": main
	worker string            // one of crews
	before func(p *played)   // is done before the workflow starts
	// meets is asked of each request to lakeFS about the repository; it may do
	// something first. nil: all pass.
	meets func(p *played, req *http.Request) wire.Fate

	want   string   // the statuses of the tries
	reason []string // parts of the last one's reason; INPUT, HEAD, FOREIGN and REPO are what they are here
	story  []string // parts of the last one's log at Conductor
	first  string   // part of the first one's reason, where it is another
	logged string   // part of the worker's log
	commit bool     // one commit of ours is on the branch; else none
}

// act does what its parameter says.
const act = `
task(
    name = "NAME",
    owner_email = "e2e@example.com",
    params = schema(mode = field(str, default = "write")),
    result = schema(lines = int),
    workspace = workspace_spec(),
    controls = controls(retry = retry(count = 1, delay_seconds = 0), timeout = timeout(response_seconds = 30)),
)

def refuse(how, why):
    how(why)

def run(workspace, params):
    text = (workspace / "in.txt").read_text()
    log.info("the body ran", mode = params.mode)
    if params.mode == "same":
        (workspace / "in.txt").write_text(text)
    if params.mode != "same" and params.mode != "read":
        (workspace / "out.txt").write_text(text + "out\n")
    if params.mode == "fail":
        refuse(fail, "not today")
    if params.mode == "terminal":
        refuse(fail_terminal, "never")
    if params.mode == "loop":
        for _ in range(1 << 50):
            pass
    if params.mode == "hoard":
        kept = []
        for i in range(1 << 30):
            kept.append(str(i) * 1000)
    if params.mode == "wrong":
        return {"lines": "one"}
    if params.mode == "fill":
        (workspace / "large.bin").write_text("0123456789abcdef" * (256 << 10))
    if params.mode == "load":
        (workspace / "large.bin").read_text()
    return {"lines": len(text.splitlines())}
`

// with is act with words in place of others.
func with(oldNew ...string) string { return strings.NewReplacer(oldNew...).Replace(act) }

func mode(name string) map[string]any { return map[string]any{"mode": name} }

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// The workers, by name.
const (
	fenced   = ""         // as people start it
	unfenced = "unfenced" // PERAGO_FENCE=client
	mortal   = "mortal"   // whose children are killed
	cramped  = "cramped"  // whose disk is a megabyte
)

// outcomes are all rows of "what becomes of an attempt" that need a workspace.
func outcomes() []outcome {
	onRead := func(do func(p *played)) func(*played, *http.Request) wire.Fate { return once(isRead("in.txt"), do) }
	return []outcome{
		{name: "published", task: act, want: "COMPLETED", story: []string{"the body ran mode=write"}, commit: true},
		{name: "unchanged", task: act, params: mode("same"), want: "COMPLETED"},
		{name: "read only", task: with("workspace_spec()", "workspace_spec(read_only = True)"), params: mode("read"), want: "COMPLETED"},
		{name: "read only, the branch moved", task: with("workspace_spec()", "workspace_spec(read_only = True)"), params: mode("read"),
			before: (*played).foreign, want: "COMPLETED"},
		{name: "published without the fence", task: act, worker: unfenced, want: "COMPLETED", commit: true},

		{name: "branch instead of a commit", task: act, place: map[string]string{"ref": "main"}, want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{`/workspace/ref: got "main", want a full commit id, 64 hex digits`}, story: []string{"take the `id` of the commit"}},
		{name: "wrong params", task: act, params: map[string]any{"mode": 7}, want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"/params/mode: got 7, want a string"}, story: []string{"/params/mode"}},
		{name: "unknown repository", task: act, place: map[string]string{"repository": "nowhere"}, want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"repository nowhere: no such repository"}, story: []string{"error P3004: "}},
		{name: "unknown commit", task: act, place: map[string]string{"ref": zeros}, want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"commit " + zeros + " of REPO: no such commit"}, story: []string{"error P3004: "}},
		{name: "unknown branch", task: act, place: map[string]string{"branch": "gone"}, want: "FAILED FAILED",
			reason: []string{"branch gone of REPO: no such branch"}, story: []string{"hint: "}},

		{name: "pre guard", task: with("workspace_spec()", `workspace_spec(pre = [require_file("raw/a.csv")])`), want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{".star:7:", `pre guard require_file("raw/a.csv") does not hold`}, story: []string{"error P3301: ", "^"}},
		{name: "post guard", task: with("workspace_spec()", `workspace_spec(post = [require_file("other.txt")])`), want: "FAILED FAILED",
			reason: []string{".star:7:", `post guard require_file("other.txt") does not hold`}, story: []string{"the body ran", "error P3302: "}},
		{name: "fail", task: act, params: mode("fail"), want: "FAILED FAILED", reason: []string{".star:12:5: ", "not today"}, story: []string{"refuse", "run", "^"}},
		{name: "fail_terminal", task: act, params: mode("terminal"), want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{".star:12:5: ", "never"}, story: []string{"refuse", "run", "^"}},
		{name: "limit of steps", task: with("owner_email", "resources = resources(steps = 100000), owner_email"), params: mode("loop"), want: "FAILED FAILED",
			reason: []string{".star:26:", "limit of steps", "more than 100000"}, story: []string{"error P4001: ", "half of the limit of steps is used"}},
		{name: "limit of time", task: with("owner_email", "resources = resources(seconds = 1), owner_email"), params: mode("loop"), want: "FAILED FAILED",
			reason: []string{".star:26:", "limit of seconds", "more than 1s"}, story: []string{"error P4002: "}},
		{name: "limit of memory", task: with("owner_email", `resources = resources(memory = "64MiB"), owner_email`), params: mode("hoard"), want: "FAILED FAILED",
			reason: []string{".star:31:", "limit of memory", "64 MiB"}, story: []string{"error P4003: "}},
		{name: "result not valid", task: act, params: mode("wrong"), want: "FAILED FAILED",
			reason: []string{".star:", "/result/lines", `got "one", want an int`}, story: []string{"the body ran"}},

		{name: "lakeFS away for good", task: act, meets: func(*played, *http.Request) wire.Fate { return wire.Dropped }, want: "FAILED FAILED",
			reason: []string{"lakeFS at http://127.0.0.1:", "the connection broke: EOF"}, story: []string{"error P4901: "}},
		{name: "lakeFS away in the first try's upload", task: act, meets: uploadOfFirstTry, want: "FAILED COMPLETED",
			first: "stage: upload ", story: []string{"the body ran"}, commit: true},
		{name: "body's process killed", task: act, worker: mortal, meets: onRead((*played).killChildren), want: "FAILED COMPLETED",
			first: "the body's process died (last builtin path.read_text", commit: true},
		{name: "disk full on a write", task: act, worker: cramped, params: mode("fill"), want: "FAILED FAILED",
			reason: []string{".star:35:", "no space left on device"}, story: []string{"^"}},
		{name: "disk full on a download", task: act, worker: cramped, params: mode("load"), before: (*played).large, want: "FAILED FAILED",
			reason: []string{".star:37:", "no space left on device"}, story: []string{"^"}},
		{name: "after a full disk", task: act, worker: cramped, want: "COMPLETED", commit: true},

		{name: "branch moved before", task: act, before: (*played).foreign, want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"branch main moved: it is at HEAD, the input is INPUT; nothing was published; the workflow has to pass a newer ref"}, story: []string{"error P4902: "}},
		{name: "branch moved while the body ran", task: act, meets: onRead((*played).foreign), want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"branch main moved: it is at HEAD, the input is INPUT; nothing was published; the workflow has to pass a newer ref"}, story: []string{"error P4902: "}},
		{name: "branch moved, and nothing to publish", task: act, params: mode("same"), meets: onRead((*played).foreign), want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"branch main moved: it is at HEAD, the input is INPUT; nothing was published; the workflow has to pass a newer ref"}, story: []string{"error P4902: "}},
		{name: "branch moved at the merge", task: act, meets: once(isMerge, (*played).foreign), want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"branch main moved: it is at HEAD, the input is INPUT; nothing was published; the workflow has to pass a newer ref"}, story: []string{"error P4902: "}},
		{name: "race lost without the fence", task: act, worker: unfenced, meets: once(isMerge, (*played).foreign), want: "FAILED_WITH_TERMINAL_ERROR",
			reason: []string{"branch main: the result was merged as HEAD, but onto FOREIGN instead of the input INPUT"}, story: []string{"error P4903: "}, commit: true},
		{name: "branch deleted while the body ran", task: act, branch: "short-lived", meets: onRead((*played).deleteBranch),
			want: "FAILED FAILED", reason: []string{"branch short-lived of REPO: no such branch"}, story: []string{"hint: "}},
		{name: "branch protected", task: act, before: func(p *played) { p.protect("main") }, want: "COMPLETED", commit: true},
		{name: "every branch protected", task: act, before: func(p *played) { p.protect("*") }, want: "FAILED FAILED",
			reason: []string{"branch perago-", "the branch is protected"}, story: []string{"hint: "}},
		{name: "uncommitted objects", task: act, before: func(p *played) { p.put("left/behind.txt", "x") }, want: "FAILED FAILED",
			reason: []string{`branch main has uncommitted objects, "left/behind.txt" for one, which block every merge: commit or reset them`}},
		{name: "a hook of the owner", task: act, before: (*played).forbid, want: "FAILED FAILED",
			reason: []string{"a hook of the repository refused the change to branch main: ", "not on a Monday"}},
		{name: "attempt no longer current", task: act, meets: onRead((*played).terminate), want: "CANCELED", logged: "nothing was published, the attempt is not known to be current"},
	}
}
