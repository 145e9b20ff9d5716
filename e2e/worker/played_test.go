//go:build linux

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"perago/e2e/servers"
	"perago/e2e/wire"
	"perago/workspace/storage"
)

// Every row of the table of what becomes of an attempt (docs/architecture.md),
// on real servers: the status, a reason that a person can act on, the whole story
// in the task's log at Conductor, and what is on the branch and left beside it.
func TestOutcomes(t *testing.T) {
	rows := outcomes()
	byRepository := map[string]*played{}
	plays, files := make([]*played, len(rows)), map[string][]string{}
	for i, row := range rows {
		p := &played{scene: newScene(t, row.task), row: row}
		if row.branch != "" {
			p.scene = p.on(row.branch)
		}
		plays[i], byRepository[p.name] = p, p
		files[row.worker] = append(files[row.worker], p.files...)
	}
	proxy := httptest.NewServer(&wire.Proxy{Target: site.lakefs.URL, Plan: func(_ int, req *http.Request) wire.Fate {
		repository, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/api/v1/repositories/"), "/")
		if p := byRepository[repository]; p != nil && p.row.meets != nil {
			return p.row.meets(p, req)
		}
		return wire.Pass
	}})
	t.Cleanup(proxy.Close)
	crew := map[string]*process{}
	roots := map[string]string{}
	for name, env := range map[string][]string{fenced: nil, unfenced: {"PERAGO_FENCE=client"}, mortal: nil, cramped: nil} {
		env = append(env, "LAKECTL_SERVER_ENDPOINT_URL="+proxy.URL, "PERAGO_WORKSPACE_GC_INTERVAL=2s")
		roots[name] = plays[0].root()
		args := append([]string{"start", "-j", "4"}, files[name]...)
		if name == cramped {
			crew[name] = launchOn(t, roots[name], onRoot(roots[name], env...), args...)
		} else {
			crew[name] = launch(t, onRoot(roots[name], env...), args...)
		}
	}
	t.Run("rows", func(t *testing.T) {
		for _, p := range plays {
			t.Run(p.row.name, func(t *testing.T) {
				if p.row.worker != cramped { // whose rows need the disk for themselves, in this order
					t.Parallel()
				}
				scene := *p.scene
				scene.t, p.scene, p.process = t, &scene, crew[p.row.worker]
				p.play()
			})
		}
	})
	for name, w := range crew {
		// The root as the worker sees it: it may have a disk of its own.
		root := filepath.Join("/proc", strconv.Itoa(w.cmd.Process.Pid), "root", roots[name])
		if !exists(filepath.Join(root, "w", "worker.lock")) {
			t.Errorf("worker %q: no root at %s", name, root)
		}
		eventually(t, "the sweep has removed what the attempts left", func() bool { return len(plays[0].attempts(root)) == 0 })
		w.signal(syscall.SIGTERM)
		w.exits(0)
	}
	for _, p := range plays {
		p.t = t // its own is over
		p.nothingLeft()
	}
}

// played is a row under way.
type played struct {
	*scene
	row     outcome
	process *process

	mu   sync.Mutex
	flow string // id of the workflow
	hers string // the commit of someone else
}

func (p *played) play() {
	if p.row.before != nil {
		p.row.before(p)
	}
	input := p.envelope()
	for key, value := range p.row.place {
		input.Workspace[key] = value
	}
	if p.row.params != nil {
		input.Params = p.row.params
	}
	p.mu.Lock()
	p.flow = p.startWith(input)
	p.mu.Unlock()
	w := p.ends(p.flow)
	p.told(w)
	p.onBranch(w)
}

// workflow is its id, as soon as there is one.
func (p *played) workflow() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flow
}

// told compares what Conductor shows with what is wanted.
func (p *played) told(w servers.Workflow) {
	p.t.Helper()
	var statuses []string
	for _, try := range w.Tasks {
		statuses = append(statuses, try.Status)
	}
	if got := strings.Join(statuses, " "); got != p.row.want {
		p.t.Errorf("tries: got %s, want %s", got, p.row.want)
	}
	first, last := w.Tasks[0], w.Tasks[len(w.Tasks)-1]
	lines, err := site.conductor.TaskLog(p.t.Context(), last.ID)
	must(p.t, err)
	story := strings.Join(lines, "\n")
	head, err := site.store.Head(p.t.Context(), p.name, p.branch)
	if p.row.place == nil && p.branch == "main" {
		must(p.t, err)
	}
	here := strings.NewReplacer("INPUT", p.input, "HEAD", head, "FOREIGN", p.hers, "REPO", p.name)
	for _, part := range p.row.reason {
		if part = here.Replace(part); !strings.Contains(last.Reason, part) {
			p.t.Errorf("reason: got %q, want it to have %q", last.Reason, part)
		}
	}
	if last.Status == "COMPLETED" && last.Reason != "" {
		p.t.Errorf("reason: got %q, want none", last.Reason)
	}
	if !strings.Contains(first.Reason, p.row.first) {
		p.t.Errorf("first reason: got %q, want it to have %q", first.Reason, p.row.first)
	}
	for _, part := range p.row.story {
		if !strings.Contains(story, part) {
			p.t.Errorf("log at Conductor: got %q, want it to have %q", story, part)
		}
	}
	p.process.logs(p.row.logged)
	if shown := last.Reason + story; strings.Contains(shown, servers.SecretKey) || strings.Contains(shown, servers.AccessKey) {
		p.t.Errorf("a credential is told: %s", shown)
	}
	p.t.Logf("%s; %s; %s", strings.Join(statuses, " "), first.Reason, last.Reason)
	p.t.Log(story)
}

// onBranch compares the branch, and the output, with what is wanted.
func (p *played) onBranch(w servers.Workflow) {
	p.t.Helper()
	if p.branch != "main" {
		return // it is gone
	}
	var ours []string
	kept := false
	for _, c := range p.history() {
		kept = kept || c.ID == p.hers
		if c.Metadata["perago.task"] != "" {
			ours = append(ours, c.ID)
		}
	}
	if len(ours) != map[bool]int{false: 0, true: 1}[p.row.commit] {
		p.t.Errorf("commits of ours: got %q, want one: %t", ours, p.row.commit)
	}
	if p.hers != "" && !kept {
		p.t.Errorf("the foreign commit %s is lost", p.hers)
	}
	if w.Status != "COMPLETED" {
		return
	}
	want := p.input
	if p.row.commit {
		want = ours[0]
	}
	result := fmt.Sprintf(`{"workspace":{"branch":"main","ref":%q,"refType":"commit","repository":%q},"result":{"lines":1}}`, want, p.name)
	if got := w.Tasks[len(w.Tasks)-1].Output; !sameJSON(p.t, got, []byte(result)) {
		p.t.Errorf("output: got %s, want %s", got, result)
	}
}

// foreign commits something to the branch, as a person.
func (p *played) foreign() {
	p.put("foreign.txt", "hers\n")
	p.hers = p.commits()
}

// large adds a file to the input that is larger than the small disk.
func (p *played) large() {
	p.put("large.bin", strings.Repeat("0123456789abcdef", 256<<10))
	p.input = p.commits()
}

// forbid adds a hook to the input that lets nothing be merged.
func (p *played) forbid() {
	p.put("_lakefs_actions/owner.yaml", `name: owner
on:
  pre-merge:
    branches: [main]
hooks:
  - id: never
    type: lua
    properties:
      script: error("not on a Monday")
`)
	p.input = p.commits()
}

// terminate ends the workflow, as a person. The row may be over before the
// server has answered.
func (p *played) terminate() {
	must(p.t, site.conductor.Call(context.WithoutCancel(p.t.Context()), "DELETE /workflow/"+p.workflow(), nil, nil))
}

// deleteBranch deletes the branch, as a person.
func (p *played) deleteBranch() {
	must(p.t, site.store.DeleteBranch(p.t.Context(), p.name, p.branch))
	p.branches = nil
}

// put uploads to the branch.
func (p *played) put(path, text string) {
	_, err := site.store.Put(p.t.Context(), p.name, p.branch, path, storage.Content{Size: int64(len(text)),
		Open: func() (io.ReadSeekCloser, error) { return nopCloser{strings.NewReader(text)}, nil }})
	must(p.t, err)
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

// commits makes a commit of what is on the branch.
func (p *played) commits() (id string) {
	c, err := site.store.CommitBranch(p.t.Context(), p.name, p.branch, "a person's", nil)
	must(p.t, err)
	return c.ID
}

// protect makes a rule, and waits until the server goes by it.
func (p *played) protect(pattern string) {
	must(p.t, site.lakefs.Protect(p.t.Context(), p.name, pattern))
	eventually(p.t, "the branch is protected", func() bool {
		// A path that is not there: a write that changes nothing.
		return site.store.Remove(p.t.Context(), p.name, p.branch, []string{"not there"}) != nil
	})
}

// killChildren kills every child of the worker: the one with the body, and the
// one that waits for the next.
func (p *played) killChildren() {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.process.cmd.Process.Pid))
	must(p.t, err)
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for child := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(child)
			must(p.t, err)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != syscall.ESRCH { // one that has ended
				must(p.t, err)
			}
		}
	}
}

// once does something before the first request that is like that.
func once(like func(*http.Request) bool, do func(p *played)) func(*played, *http.Request) wire.Fate {
	done := false
	return func(p *played, req *http.Request) wire.Fate {
		if !done && like(req) {
			done = true
			do(p)
		}
		return wire.Pass
	}
}

// isRead is a download of a file.
func isRead(path string) func(*http.Request) bool {
	return func(req *http.Request) bool {
		return req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, "/objects") && req.URL.Query().Get("path") == path
	}
}

// isMerge is a publication, and not a test of the fence.
func isMerge(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.Contains(req.URL.Path, "/merge/") && !strings.Contains(req.URL.Path, "selftest")
}

// uploadOfFirstTry drops what a first try uploads.
func uploadOfFirstTry(_ *played, req *http.Request) wire.Fate {
	if req.Method == http.MethodPost && strings.Contains(req.URL.Path, "-0-") && req.URL.Query().Get("path") == "out.txt" {
		return wire.Dropped
	}
	return wire.Pass
}

// sameJSON compares values, whatever the order of their keys.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	must(t, json.Unmarshal(a, &x))
	must(t, json.Unmarshal(b, &y))
	return reflect.DeepEqual(x, y)
}
