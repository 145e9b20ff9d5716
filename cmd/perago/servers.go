package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"perago/engine"
	"perago/engine/conductor"
	"perago/engine/isolate"
	"perago/engine/module"
	"perago/engine/tasktest"
	"perago/engine/worker"
	"perago/starlib/diag"
	"perago/workspace/attempts"
	"perago/workspace/cache"
	"perago/workspace/lakefs"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// conductorClient makes the client of the configured Conductor; it calls nobody.
func (c *config) conductorClient(workerID string) (*conductor.Client, error) {
	if c.Conductor.URL == "" {
		return nil, environmentError("set it in the environment or in .env, as in CONDUCTOR_SERVER_URL=http://localhost:8080/api",
			"configuration: CONDUCTOR_SERVER_URL is missing")
	}
	return conductor.New(conductor.Options{URL: c.Conductor.URL, Key: c.Conductor.Key, Secret: c.Conductor.Secret, WorkerID: workerID}), nil
}

// workerID is what servers and logs call this process: by default after the first
// file, with something random in it, so it is another one at each call.
func (c *config) workerID(files []string) string {
	if c.WorkerID != "" {
		return c.WorkerID
	}
	prefix := c.WorkerIDPrefix
	if prefix == "" && len(files) > 0 {
		prefix = strings.TrimSuffix(filepath.Base(files[0]), ".star")
	}
	return worker.NewID(prefix)
}

// serverError makes an error of a server one of the environment, its advice kept.
func serverError(err error) error {
	var f *failure
	var complaints diag.List
	if err == nil || errors.As(err, &f) || errors.As(err, &complaints) || errors.Is(err, errInterrupted) {
		return err
	}
	var refused *conductor.Error
	if errors.As(err, &refused) {
		return &failure{exitEnvironment, err, refused.Hint}
	}
	return &failure{exitEnvironment, err, lakeHint(err)}
}

// lakeHint is what to do about an error of lakeFS; "" when that is not known.
func lakeHint(err error) string {
	switch {
	case errors.Is(err, lakefs.ErrDenied):
		return "LAKECTL_CREDENTIALS_ACCESS_KEY_ID and LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY must be a key pair that this server knows"
	case errors.Is(err, lakefs.ErrNotLakeFS):
		return "LAKECTL_SERVER_ENDPOINT_URL is the address of lakeFS, as in http://localhost:8000"
	case errors.Is(err, lakefs.ErrHost):
		return "where that is the block store of this lakeFS, name it in PERAGO_OBJECT_STORE_HOSTS"
	case errors.Is(err, storage.ErrUnknownRepository):
		return "look at the name: this lakeFS has no such repository"
	case errors.Is(err, storage.ErrUnknownBranch):
		return "name a branch that the repository has: --branch NAME"
	case errors.Is(err, lakefs.ErrUnreachable):
		return "is lakeFS running, and is LAKECTL_SERVER_ENDPOINT_URL right?"
	}
	return ""
}

// loadOne loads one file; the module is nil when there is a complaint that is
// more than a warning.
func loadOne(file, root string) (*module.Module, diag.List) {
	m, list := module.Load(file, &module.Options{Root: root})
	if hasErrors(list) {
		return nil, list
	}
	return m, list
}

// taskFiles leaves the test files out of args, which `tasks/*.star` names as
// well; where there is nothing else, they stay for their complaint.
func taskFiles(args []string) []string {
	tasks := slices.DeleteFunc(slices.Clone(args), func(file string) bool { return strings.HasSuffix(file, tasktest.Suffix) })
	if len(tasks) == 0 {
		return args
	}
	return tasks
}

// loadAll loads every file; all complaints of all files come back. Two files
// that declare the same task are a complaint as well.
func loadAll(files []string, root string) ([]*module.Module, diag.List) {
	var modules []*module.Module
	var complaints diag.List
	byName := map[string]string{}
	for _, file := range taskFiles(files) {
		m, list := loadOne(file, root)
		if m == nil {
			complaints = append(complaints, list...)
			continue
		}
		if other := byName[m.Task.Name]; other != "" {
			complaints = append(complaints, &diag.Diagnostic{Code: "P2009", Severity: diag.Error, File: file, Line: m.Task.At.Line, Column: m.Task.At.Column,
				Message: fmt.Sprintf("the task %s is declared by %s as well", m.Task.Name, other), Hint: "serve one of the two, or rename one"})
			continue
		}
		byName[m.Task.Name] = file
		modules = append(modules, m)
	}
	return modules, complaints
}

// lakeStore makes the client of the configured lakeFS; it calls nobody.
func (c *config) lakeStore() (*lakefs.Store, error) {
	if c.LakeFS.URL == "" {
		return nil, environmentError("set LAKECTL_SERVER_ENDPOINT_URL, LAKECTL_CREDENTIALS_ACCESS_KEY_ID and LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY in the environment or in .env",
			"configuration: LAKECTL_SERVER_ENDPOINT_URL is missing, and the task has a workspace")
	}
	store, err := lakefs.New(lakefs.Options{URL: c.LakeFS.URL, Key: c.LakeFS.Key, Secret: c.LakeFS.Secret,
		ObjectHosts: c.LakeFS.ObjectHosts, Concurrency: 2 * c.TransferConcurrency})
	if err != nil {
		return nil, environmentError("", "configuration: %w", err)
	}
	return store, nil
}

// publisher publishes to store at the configured level.
func (c *config) publisher(store storage.Store, events func(publish.Event)) *publish.Publisher {
	return &publish.Publisher{Store: store, Level: publish.FenceLevel(c.Fence), Concurrency: c.TransferConcurrency, Events: events}
}

// bodies runs the bodies of a worker, so many at once, as the execution mode says; what it
// returns besides ends it.
func (c *config) bodies(slots int) (engine.Body, func() error) {
	p := isolate.New(isolate.Options{Slots: slots, Required: c.isolation() == isolationRequired})
	if c.ExecutionMode == "thread" {
		return engine.InProcess{Tables: p.Tables}, p.Close
	}
	return p, p.Close
}

// body runs one body, of m: its process is started now, beside all that an
// attempt does before.
func (c *config) body(m *module.Module) (engine.Body, func() error) {
	p := isolate.New(isolate.Options{Spares: -1})
	if c.ExecutionMode == "thread" {
		return engine.InProcess{Tables: p.Tables}, p.Close
	}
	p.Ahead(m)
	return p, p.Close
}

// ceiling is the operator's limit over what a task asks for.
func (c *config) ceiling() engine.Limits {
	return engine.Limits{Memory: c.MemoryMax, Wall: time.Duration(c.BodySecondsMax) * time.Second}
}

// openRoot opens the folder of attempts.
func (c *config) openRoot(o attempts.RootOptions) (*attempts.Root, error) {
	if c.WorkspaceRoot == "" {
		return nil, environmentError("set PERAGO_WORKSPACE_ROOT", "there is no folder for the workspaces: this user has none")
	}
	o.Server = c.LakeFS.URL
	root, err := attempts.OpenRoot(c.WorkspaceRoot, &o)
	if errors.Is(err, attempts.ErrLocked) {
		return nil, environmentError("give every worker a root of its own: --workspace-root DIR", "%w", err)
	}
	if err != nil {
		return nil, environmentError("name a folder that can be written: --workspace-root DIR", "%w", err)
	}
	return root, nil
}

// openCache opens the cache of listings and contents.
func (c *config) openCache() (*cache.Cache, error) {
	if c.CacheRoot == "" {
		return nil, environmentError("set PERAGO_CACHE_ROOT", "there is no folder for the cache: this user has none")
	}
	cache, err := cache.Open(c.CacheRoot, &cache.Options{MaxSize: c.CacheMax, Server: c.LakeFS.URL})
	if err != nil {
		return nil, environmentError("name a folder that can be written: --cache-root DIR", "%w", err)
	}
	return cache, nil
}

// checkLake asks whether lakeFS is there and lets us in; nil is not asked.
func checkLake(ctx context.Context, store *lakefs.Store) error {
	if store == nil {
		return nil
	}
	_, err := store.Check(ctx)
	return err
}

// What PERAGO_ISOLATION may be: what `start` does where a layer is missing.
const (
	isolationRequired   = "required"    // it does not start
	isolationBestEffort = "best-effort" // it says so, and starts
)

const (
	threadHint     = "run with PERAGO_EXECUTION_MODE=thread, trusted tasks only"
	bestEffortHint = "let the container's profile allow seccomp and the three calls of Landlock; or PERAGO_ISOLATION=best-effort, trusted tasks only"
)

// isolation is what PERAGO_ISOLATION says, or its default: required on Linux,
// which alone has all layers, unless bodies run in thread mode, which has none.
func (c *config) isolation() string {
	switch {
	case c.Isolation != "":
		return c.Isolation
	case runtime.GOOS == "linux" && c.ExecutionMode != "thread":
		return isolationRequired
	}
	return isolationBestEffort
}

// layers are those of the isolation of bodies on this machine, in this
// configuration.
func (c *config) layers(ctx context.Context) ([]isolate.Layer, error) {
	if c.ExecutionMode == "thread" {
		return []isolate.Layer{{Name: "own process",
			Why: "PERAGO_EXECUTION_MODE=thread runs bodies inside the worker, and is for trusted tasks"}}, nil
	}
	return isolate.Layers(ctx)
}

// checkIsolation looks at the layers before there is a body, and refuses where
// the configuration requires more than there are.
func (c *config) checkIsolation(ctx context.Context) ([]isolate.Layer, error) {
	layers, err := c.layers(ctx)
	if err != nil {
		return nil, environmentError(threadHint, "isolation: %w", err)
	}
	if missing := isolate.Missing(layers); c.isolation() == isolationRequired && len(missing) > 0 {
		return nil, environmentError(bestEffortHint, "%w", &isolate.MissingError{Layers: missing})
	}
	return layers, nil
}

// isolation keeps the layers for the metrics, and warns of missing ones.
func (s *service) isolation(layers []isolate.Layer) {
	s.layers = layers
	var missing []string
	for _, l := range isolate.Missing(layers) {
		missing = append(missing, l.Name+": "+l.Why)
	}
	if len(missing) > 0 {
		s.log.Warn("bodies are not held in as they could be: serve trusted tasks only", "isolation", isolationBestEffort,
			"missing", strings.Join(missing, "; "))
	}
}

// isolationFigures are the samples of perago_isolation_layer.
func isolationFigures(layers []isolate.Layer) []string {
	var samples []string
	for _, l := range layers {
		active := 0
		if l.Active {
			active = 1
		}
		samples = append(samples, fmt.Sprintf(`{layer=%q} %d`, l.Name, active))
	}
	return samples
}
