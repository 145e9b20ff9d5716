// Package servers builds, starts and stops the real servers that perago works
// with, for tests and for a person who wants to try it for real.
//
// What is built or fetched is kept in the user's cache folder and found again:
// the first use on a machine takes minutes, the next one seconds. Each server
// has a folder and a port of its own, so any number may run side by side.
package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// Folder is where built and fetched programs are kept; it is made when missing.
func Folder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "perago-e2e")
	return dir, os.MkdirAll(dir, 0o700)
}

// Once makes the file name in Folder with make, unless it is there, and returns
// its path. make is given a temporary path to write to. Two processes do not
// make the same file at once.
func Once(ctx context.Context, name string, make func(ctx context.Context, tmp string) error) (string, error) {
	dir, err := Folder()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	lock := flock.New(path + ".lock")
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for %s: %w", name, err)
	}
	defer lock.Close()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	tmp := path + ".new"
	defer os.Remove(tmp)
	if err := make(ctx, tmp); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	return path, os.Rename(tmp, path)
}

// FreePort is a port of the loopback address that nobody listens at.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Process is a server that runs.
type Process struct {
	URL  string // http://127.0.0.1:PORT
	Dir  string // its folder; it outlives the process
	Log  string // file with all it wrote
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// start runs a program and returns when health is nil, the program has ended,
// or ctx has.
func (p *Process) start(ctx context.Context, cmd *exec.Cmd, health func(context.Context) error) error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, p.Dir
	WithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	go func() {
		cmd.Wait()
		close(p.gone)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if health(ctx) == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.gone:
			return fmt.Errorf("%s ended: %s%s", filepath.Base(cmd.Path), cmd.ProcessState, tail(p.Log))
		case <-ctx.Done():
			p.Kill()
			return fmt.Errorf("%s is not ready: %w%s", filepath.Base(cmd.Path), context.Cause(ctx), tail(p.Log))
		}
	}
}

// healthy is nil when url answers 200 and its body passes ok.
func healthy(ctx context.Context, url string, ok func(body []byte) bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !ok(body) {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// request is a call with in as JSON, unless it is nil.
func request(ctx context.Context, method, url string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// send makes a call and fills out from the JSON that it is answered with, unless
// out is nil: a *string gets the answer as it is.
func send(req *http.Request, out any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	if len(answer) == 0 { // an empty list, sometimes
		return nil
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *string:
		*out = string(answer)
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%w in %s", err, answer)
	}
	return nil
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // an error means that it has ended already
	<-p.gone
}

// Signal sends a signal to the process.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Stop asks the process to end, kills it after 20 s, and waits until it is gone.
func (p *Process) Stop() {
	p.cmd.Process.Signal(os.Interrupt) // an error means that it has ended already
	select {
	case <-p.gone:
	case <-time.After(20 * time.Second):
		p.Kill()
	}
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// tail is the end of a log, for an error.
func tail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return ""
	}
	if len(data) > 2000 {
		data = data[len(data)-2000:]
	}
	return "\n" + string(data)
}

// buildTool builds one of the tools of the module perago/e2e/lakefs.
func buildTool(ctx context.Context, pkg, out string) error {
	_, file, _, ok := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "..", "lakefs")
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); !ok || err != nil {
		return fmt.Errorf("the module perago/e2e/lakefs is not beside %s", file)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	cmd.Dir = dir
	// Some of its dependencies are not in the public checksum database; go.sum pins them.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "GONOSUMDB=github.com/treeverse")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, msg)
	}
	return nil
}
