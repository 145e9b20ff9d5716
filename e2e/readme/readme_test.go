// Package readme runs the section "For real" of the README as it stands.
package readme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestForReal runs the three commands behind `<!-- e2e -->`: the first two stay,
// the third starts a workflow, which must complete, with its result published.
func TestForReal(t *testing.T) {
	project, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	lines := commands(t, filepath.Join(project, "README.md"))
	cache := t.TempDir()
	env := append(os.Environ(), "XDG_CACHE_HOME="+cache, "GOCACHE="+goCache(t))

	serversUp := begin(t, project, env, lines[0])
	waitFor(t, 40*time.Minute, "try.env, which the servers write when they are ready", func() bool {
		serversUp.mustLive(t)
		_, err := os.Stat(filepath.Join(project, "try.env"))
		return err == nil
	})
	worker := begin(t, project, env, lines[1])
	waitFor(t, 3*time.Minute, "the worker", func() bool {
		worker.mustLive(t)
		return strings.Contains(worker.output(), "worker started")
	})
	third := exec.Command("sh", "-c", lines[2])
	third.Dir, third.Env = project, env
	var stderr bytes.Buffer
	third.Stderr = &stderr
	out, err := third.Output()
	id := strings.Trim(strings.TrimSpace(string(out)), `"`)
	if err != nil || id == "" || strings.ContainsAny(id, " {") {
		t.Fatalf("start the workflow: %v\n%s%s", err, out, &stderr)
	}
	settings := readEnv(t, filepath.Join(project, "try.env"))
	checkWorkflow(t, settings, id)
	checkHistory(t, settings, id)
	worker.end(t, "worker stopped")
	serversUp.end(t, "stopping")
	if _, err := os.Stat(filepath.Join(project, "try.env")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("try.env is still there: %v", err)
	}
}

// commands are the lines of the block that is marked for this test.
func commands(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- e2e -->\n```console\n")
	block, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatalf("%s has no console block behind <!-- e2e -->", page)
	}
	var lines []string
	for line := range strings.Lines(block) {
		lines = append(lines, strings.TrimPrefix(strings.TrimSpace(line), "$ "))
	}
	if len(lines) != 3 {
		t.Fatalf("got %d commands, want 3: %q", len(lines), lines)
	}
	return lines
}

func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// program is a command of the page that stays.
type program struct {
	cmd  *exec.Cmd
	line string
	done chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	err  error
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *program) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// begin starts a command in a process group of its own, as a terminal does.
func begin(t *testing.T, dir string, env []string, line string) *program {
	t.Helper()
	p := &program{cmd: exec.Command("sh", "-c", "exec "+line), line: line, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.done
		}
	})
	return p
}

func (p *program) mustLive(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		t.Fatalf("$ %s\nended: %v\n%s", p.line, p.err, p.output())
	default:
	}
}

// end is Ctrl-C, and wants the last words of a clean end. The exit code is that
// of the go command, which is 1 after an interrupt whatever its program says.
func (p *program) end(t *testing.T, lastWords string) {
	t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatalf("$ %s\nis still there a minute after Ctrl-C\n%s", p.line, p.output())
	}
	if !strings.Contains(p.output(), lastWords) {
		t.Errorf("$ %s\nended with %v, not with %q\n%s", p.line, p.err, lastWords, p.output())
	}
}

// waitFor asks until what is there, twice a second.
func waitFor(t *testing.T, most time.Duration, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not there after %s", what, most)
		case <-tick.C:
		}
	}
}

// readEnv reads NAME='value' lines.
func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok {
			values[strings.TrimPrefix(name, "export ")] = strings.Trim(value, `'"`)
		}
	}
	return values
}

// checkWorkflow waits for the workflow to complete and looks at its task.
func checkWorkflow(t *testing.T, settings map[string]string, id string) {
	t.Helper()
	var w struct {
		Status string
		Tasks  []struct {
			ReasonForIncompletion string
			InputData, OutputData struct {
				Workspace struct{ Ref string }
				Result    struct {
					RowCount int `json:"row_count"`
				}
			}
		}
	}
	waitFor(t, 2*time.Minute, "the end of the workflow", func() bool {
		get(t, settings["CONDUCTOR_SERVER_URL"]+"/workflow/"+id, nil, &w)
		return w.Status != "RUNNING"
	})
	if w.Status != "COMPLETED" || len(w.Tasks) != 1 {
		t.Fatalf("got %+v, want it COMPLETED, with one task", w)
	}
	task := w.Tasks[0]
	if task.OutputData.Result.RowCount != 7 {
		t.Errorf("row_count: got %d, want 7", task.OutputData.Result.RowCount)
	}
	if in, out := task.InputData.Workspace.Ref, task.OutputData.Workspace.Ref; out == "" || in == out {
		t.Errorf("ref: got %q after %q, want a new commit", out, in)
	}
}

// checkHistory: the newest commit of the branch is the workflow's.
func checkHistory(t *testing.T, settings map[string]string, id string) {
	t.Helper()
	var input struct {
		Workspace struct{ Repository, Branch string }
	}
	if err := json.Unmarshal([]byte(settings["TRY_INPUT"]), &input); err != nil {
		t.Fatal(err)
	}
	var log struct{ Results []struct{ Message string } }
	url := fmt.Sprintf("%s/api/v1/repositories/%s/refs/%s/commits?amount=1",
		strings.TrimSuffix(settings["LAKECTL_SERVER_ENDPOINT_URL"], "/api/v1"), input.Workspace.Repository, input.Workspace.Branch)
	get(t, url, settings, &log)
	if len(log.Results) != 1 || !strings.Contains(log.Results[0].Message, id) {
		t.Errorf("got %+v, want the workflow's commit at the head of the branch", log)
	}
}

// get decodes the JSON of a server; lakeFS wants the key of its settings.
func get(t *testing.T, url string, lakefs map[string]string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lakefs != nil {
		req.SetBasicAuth(lakefs["LAKECTL_CREDENTIALS_ACCESS_KEY_ID"], lakefs["LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}
