package servers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	conductorVersion = "3.32.1"
	javaAtLeast      = 21
)

// ConductorJar returns the path of Conductor's server, which Maven fetches when
// this machine has none yet: 458 MB.
func ConductorJar(ctx context.Context) (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	repository := filepath.Join(home, ".m2", "repository")
	jar := filepath.Join(repository, "org", "conductoross", "conductor-server", conductorVersion,
		"conductor-server-"+conductorVersion+"-boot.jar")
	dir, err := Folder()
	if err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(dir, "conductor.lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for Conductor's jar: %w", err)
	}
	defer lock.Close()
	if _, err := os.Stat(jar); err == nil {
		return jar, nil
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-Dmaven.repo.local="+repository, "dependency:get",
		"-Dartifact=org.conductoross:conductor-server:"+conductorVersion+":jar:boot", "-Dtransitive=false")
	cmd.Dir = dir // where no pom.xml can have a say
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch Conductor with Maven: %w\n%s", err, msg)
	}
	if _, err := os.Stat(jar); err != nil {
		return "", fmt.Errorf("fetch Conductor with Maven: %w", err)
	}
	return jar, nil
}

// FindJava returns a java that is new enough: that of JAVA_HOME, the one on the
// PATH, or one that stands where systems install them.
func FindJava(ctx context.Context) (string, error) {
	var found []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		found = append(found, filepath.Join(home, "bin", "java"))
	}
	if path, err := exec.LookPath("java"); err == nil {
		found = append(found, path)
	}
	for _, pattern := range []string{"/usr/lib/jvm/*/bin/java", "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		found = append(found, more...)
	}
	for _, java := range found {
		if version, err := javaVersion(ctx, java); err == nil && version >= javaAtLeast {
			return java, nil
		}
	}
	return "", fmt.Errorf("no Java %d or newer among %q: install one, or set JAVA_HOME", javaAtLeast, found)
}

// javaVersion is the feature release of a java: 21 of "21.0.4", 8 of "1.8.0".
func javaVersion(ctx context.Context, java string) (int, error) {
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput()
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`version "(?:1\.)?(\d+)`).FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s does not tell its version", java)
	}
	return strconv.Atoi(string(m[1]))
}

// Conductor is a Conductor server that runs, with its database under Dir. It has
// no login.
type Conductor struct {
	Process
	port int
}

// ConductorOptions are what StartConductor may be told.
type ConductorOptions struct {
	Port int // 0: a free one
}

// StartConductor starts a server in dir, which is made when it is missing, and
// waits until it is ready: about 25 s. o may be nil. The caller stops it.
func StartConductor(ctx context.Context, dir string, o *ConductorOptions) (*Conductor, error) {
	if o == nil {
		o = &ConductorOptions{}
	}
	port := o.Port
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return nil, fmt.Errorf("start Conductor: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start Conductor: %w", err)
	}
	c := &Conductor{port: port}
	c.Dir, c.URL = dir, fmt.Sprintf("http://127.0.0.1:%d", port)
	c.Log = filepath.Join(dir, "conductor.log")
	return c, c.Start(ctx)
}

// API is the address that CONDUCTOR_SERVER_URL wants.
func (c *Conductor) API() string { return c.URL + "/api" }

// Start starts the server again after Kill or Stop, at the same port, on the
// same database.
func (c *Conductor) Start(ctx context.Context) error {
	jar, err := ConductorJar(ctx)
	if err != nil {
		return fmt.Errorf("start Conductor: %w", err)
	}
	java, err := FindJava(ctx)
	if err != nil {
		return fmt.Errorf("start Conductor: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // on a busy machine
	defer cancel()
	cmd := exec.Command(java, "-Xmx1500m", "-jar", jar, "--server.address=127.0.0.1", fmt.Sprintf("--server.port=%d", c.port))
	if err := c.Process.start(ctx, cmd, func(ctx context.Context) error {
		return healthy(ctx, c.URL+"/health", func(body []byte) bool { return bytes.Contains(body, []byte(`"healthy":true`)) })
	}); err != nil {
		return fmt.Errorf("start Conductor: %w", err)
	}
	return nil
}

// Call makes a call of Conductor's API. in is sent as JSON unless it is nil; out
// is filled from the answer unless it is nil: a *string gets it as it is.
func (c *Conductor) Call(ctx context.Context, call string, in, out any) error {
	method, path, ok := strings.Cut(call, " ")
	if !ok {
		return fmt.Errorf("call %q: want METHOD PATH", call)
	}
	req, err := request(ctx, method, c.API()+path, in)
	if err == nil {
		err = send(req, out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	return nil
}

// WorkflowTask is one step of a workflow definition.
type WorkflowTask struct {
	Name      string         `json:"name"`
	Reference string         `json:"taskReferenceName"`
	Type      string         `json:"type"`
	Input     map[string]any `json:"inputParameters"`
}

// DefineWorkflow registers a workflow that runs the steps one after another.
func (c *Conductor) DefineWorkflow(ctx context.Context, name string, steps []WorkflowTask) error {
	return c.Call(ctx, "PUT /metadata/workflow", []any{map[string]any{
		"name": name, "version": 1, "schemaVersion": 2, "ownerEmail": "e2e@example.com",
		"timeoutSeconds": 0, "timeoutPolicy": "ALERT_ONLY", "tasks": steps}}, nil)
}

// StartWorkflow starts a workflow and returns its id.
func (c *Conductor) StartWorkflow(ctx context.Context, name string, input any) (id string, err error) {
	err = c.Call(ctx, "POST /workflow/"+name, input, &id)
	return id, err
}

// Workflow is a run of a workflow, as the server shows it.
type Workflow struct {
	Status string          `json:"status"` // RUNNING, COMPLETED, FAILED, TERMINATED, …
	Reason string          `json:"reasonForIncompletion"`
	Output json.RawMessage `json:"output"`
	Tasks  []WorkflowRun   `json:"tasks"`
}

// WorkflowRun is one try of one step.
type WorkflowRun struct {
	ID        string          `json:"taskId"`
	Name      string          `json:"taskDefName"`
	Reference string          `json:"referenceTaskName"`
	Retry     int             `json:"retryCount"`
	Status    string          `json:"status"`
	Reason    string          `json:"reasonForIncompletion"`
	Output    json.RawMessage `json:"outputData"`
	Worker    string          `json:"workerId"`
}

// Workflow reads a run.
func (c *Conductor) Workflow(ctx context.Context, id string) (Workflow, error) {
	var w Workflow
	return w, c.Call(ctx, "GET /workflow/"+id, nil, &w)
}

// ErrStillRunning is a workflow that had not ended when the caller's time had.
var ErrStillRunning = errors.New("the workflow is still running")

// Await waits until a run has ended, or ctx has.
func (c *Conductor) Await(ctx context.Context, id string) (Workflow, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last Workflow
	for {
		w, err := c.Workflow(ctx, id)
		if err == nil && w.Status != "RUNNING" && w.Status != "PAUSED" {
			return w, nil
		}
		if err == nil {
			last = w
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last, fmt.Errorf("workflow %s: %w: %v", id, ErrStillRunning, last.Tasks)
		}
	}
}

// TaskLog reads the log of a try, oldest entry first.
func (c *Conductor) TaskLog(ctx context.Context, task string) ([]string, error) {
	type entry struct {
		Log  string `json:"log"`
		Time int64  `json:"createdTime"`
	}
	var entries []entry
	if err := c.Call(ctx, "GET /tasks/"+task+"/log", nil, &entries); err != nil {
		return nil, err
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.Time, b.Time) })
	var lines []string
	for _, e := range entries {
		lines = append(lines, e.Log)
	}
	return lines, nil
}
