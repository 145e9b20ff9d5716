//go:build linux

package worker

// The command line between the real servers: testdata/script, and the commands
// that its scripts have beside testscript's own.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"perago/e2e/servers"
)

// TestScripts runs the scripts, each with a repository of its own, $REPO, whose
// branch main holds the script's folder `files`: the commit is $COMMIT. $HTML is a web
// server that is neither of ours.
//
//	exits CODE PROGRAM ARG...        wants that very exit code
//	lakefs METHOD PATH [JSON]        calls /repositories/$REPO/PATH; the answer is its stdout
//	upload BRANCH PATH FILE          an object, not committed; \x01 and the like are read in PATH
//	commit BRANCH VAR                commits; VAR is the id
//	head BRANCH VAR                  VAR is the commit that BRANCH is at
//	protect PATTERN BRANCH           and waits until the server does so for BRANCH
//	input FILE [KEY=VALUE...]        an input on $COMMIT of main, with these keys of its workspace
//	flow TASK FILE                   a workflow of one task, on the input; its stdout is how the task ended, and its log
//	awaits FILE TEXT                 waits until a file has a text
func TestScripts(t *testing.T) {
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Welcome</title>")
	}))
	t.Cleanup(html.Close) // after the scripts, which run in parallel
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HTML", html.URL)
			return setUp(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "lakefs": callLakeFS, "upload": upload, "commit": commit, "head": head,
			"protect": protect, "input": input, "flow": flow, "awaits": awaits,
		},
	})
}

func setUp(env *testscript.Env) error {
	repo := fmt.Sprintf("script-%d", site.scenes.Add(1))
	if err := site.lakefs.CreateRepository(context.Background(), repo); err != nil {
		return err
	}
	if files := filepath.Join(env.WorkDir, "files"); exists(files) {
		id, err := site.lakefs.Upload(context.Background(), repo, "main", files)
		if err != nil {
			return err
		}
		env.Setenv("COMMIT", id)
	}
	for name, value := range map[string]string{
		"REPO": repo, "PATH": filepath.Dir(site.perago) + ":" + os.Getenv("PATH"),
		"HOME": filepath.Join(env.WorkDir, ".home"), "XDG_CACHE_HOME": filepath.Join(env.WorkDir, ".cache"),
		"CONDUCTOR_SERVER_URL": site.conductor.API(), "LAKECTL_SERVER_ENDPOINT_URL": site.lakefs.URL,
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID": servers.AccessKey, "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": servers.SecretKey,
	} {
		env.Setenv(name, value)
	}
	return nil
}

// wants ends the script unless there are as many arguments as that.
func wants(ts *testscript.TestScript, neg bool, args []string, least, most int) {
	if neg || len(args) < least || len(args) > most {
		ts.Fatalf("wrong use: see TestScripts")
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 1<<10)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit: got %d, want %d", got, want)
	}
}

// api calls lakeFS about the script's repository.
func api(ts *testscript.TestScript, call string, body io.Reader, contentType string) []byte {
	method, path, _ := strings.Cut(call, " ")
	req, err := http.NewRequest(method, site.lakefs.URL+"/api/v1/repositories/"+ts.Getenv("REPO")+"/"+path, body)
	ts.Check(err)
	req.SetBasicAuth(servers.AccessKey, servers.SecretKey)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode >= 300 {
		ts.Fatalf("%s: %s: %s", call, resp.Status, answer)
	}
	return answer
}

func callLakeFS(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 3)
	var body io.Reader
	if len(args) == 3 {
		body = strings.NewReader(args[2])
	}
	ts.Stdout().Write(api(ts, args[0]+" "+args[1], body, "application/json"))
}

func upload(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 3, 3)
	path, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	api(ts, "POST branches/"+args[0]+"/objects?path="+url.QueryEscape(path),
		strings.NewReader(ts.ReadFile(args[2])), "application/octet-stream")
}

// id reads the key of an answer.
func id(ts *testscript.TestScript, answer []byte, key string) string {
	var fields map[string]any
	ts.Check(json.Unmarshal(answer, &fields))
	return fmt.Sprint(fields[key])
}

func commit(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2)
	answer := api(ts, "POST branches/"+args[0]+"/commits", strings.NewReader(`{"message": "a person's"}`), "application/json")
	ts.Setenv(args[1], id(ts, answer, "id"))
}

func head(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2)
	ts.Setenv(args[1], id(ts, api(ts, "GET branches/"+args[0], nil, ""), "commit_id"))
}

func protect(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2)
	api(ts, "PUT settings/branch_protection", strings.NewReader(fmt.Sprintf(`[{"pattern": %q}]`, args[0])), "application/json")
	waitFor(ts, "the branch is protected", func() bool {
		// A path that is not there: a write that changes nothing.
		return site.store.Remove(context.Background(), ts.Getenv("REPO"), args[1], []string{"not there"}) != nil
	})
}

func input(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 1, 5)
	place := map[string]string{"repository": ts.Getenv("REPO"), "branch": "main", "refType": "commit", "ref": ts.Getenv("COMMIT")}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		place[key] = value
	}
	data, err := json.Marshal(envelope{Workspace: place, Params: map[string]any{}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

func flow(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(site.conductor.DefineWorkflow(ctx, args[0], []servers.WorkflowTask{{Name: args[0], Reference: "step", Type: "SIMPLE",
		Input: map[string]any{"workspace": "${workflow.input.workspace}", "params": "${workflow.input.params}"}}}))
	started, err := site.conductor.StartWorkflow(ctx, args[0], json.RawMessage(ts.ReadFile(args[1])))
	ts.Check(err)
	w, err := site.conductor.Await(ctx, started)
	ts.Check(err)
	last := w.Tasks[len(w.Tasks)-1]
	lines, err := site.conductor.TaskLog(ctx, last.ID)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s %s\n%s\n%s\n", last.Status, last.Reason, last.Output, strings.Join(lines, "\n"))
}

func awaits(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2)
	waitFor(ts, args[0]+" has "+args[1], func() bool {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && bytes.Contains(data, []byte(args[1]))
	})
}

// waitFor waits until something holds.
func waitFor(ts *testscript.TestScript, what string, holds func() bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			ts.Fatalf("not within %s: %s", patience, what)
		}
	}
}
