// start.go is `perago start`, the worker: what has to be there before the first
// poll, the parts it is made of, what the signals mean, and its page of figures.
// What it shows on a terminal is in screen.go.

package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine"
	"perago/engine/conductor"
	"perago/engine/isolate"
	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/engine/worker"
	"perago/workspace/attempts"
	"perago/workspace/lakefs"
)

// startOptions are the flags of `start`.
type startOptions struct {
	slots    int
	register bool
	root     string
}

func (a *app) startCommand() *ffcli.Command {
	flags := newFlagSet("start")
	slots := countFlag(flags, "j", "run up to `N` attempts at once, shared by all the files", runtime.NumCPU())
	register := flags.Bool("register", false, "create the TaskDefs that Conductor does not have")
	root := rootFlag(flags)
	readConfig := a.configFlags(flags, serving)
	return &ffcli.Command{
		Name:       "start",
		ShortUsage: "perago start FILE... [flags]",
		ShortHelp:  "Serve tasks: poll Conductor, run attempts, publish, report.",
		LongHelp: `The first SIGTERM or SIGINT ends polling; what runs is finished and reported. The
second ends what runs: Conductor gets FAILED, and nothing is published.`,
		FlagSet: flags,
		Exec: func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return usageError("", "start wants at least one task file")
			}
			cfg, err := readConfig()
			if err != nil {
				return err
			}
			return a.start(ctx, cfg, args, startOptions{*slots, *register, *root})
		},
	}
}

// start checks everything that can be known before the first poll, and then works
// until it is told to stop.
func (a *app) start(ctx context.Context, cfg *config, files []string, o startOptions) error {
	stop := a.stopping(ctx)
	defer stop.release()
	modules, complaints := loadAll(files, o.root)
	if len(complaints) > 0 {
		return complaints
	}
	workerID := cfg.workerID(files)
	client, err := cfg.conductorClient(workerID)
	if err != nil {
		return err
	}
	layers, err := cfg.checkIsolation(stop.drain)
	if err != nil {
		return err
	}
	s, err := a.openService(cfg, modules, o.slots, workerID)
	if err != nil {
		return err
	}
	defer s.close()
	s.isolation(layers)
	if err := a.makeReady(stop.drain, client, s, o.register); err != nil {
		if stop.drain.Err() != nil {
			return nil // told to stop before it began
		}
		return serverError(err)
	}
	worker := s.worker(client, cfg, o.slots)
	defer s.watch(worker)()
	if err := s.listen(cfg.HTTPAddr, worker); err != nil {
		return err
	}
	if err := worker.Run(stop.drain, stop.force); err != nil {
		return err
	}
	return stop.outcome()
}

// service is all that attempts of some modules need on this machine.
type service struct {
	modules []*module.Module
	runner  *engine.Runner
	root    *attempts.Root
	logs    *logs.Files
	log     *slog.Logger
	screen  *screen
	lake    *lakefs.Store   // nil: no task has a workspace
	layers  []isolate.Layer // of the isolation of bodies, missing ones too
	closers []func() error
}

func (s *service) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// hasWorkspace: at least one of the modules works on a workspace.
func hasWorkspace(modules []*module.Module) bool {
	for _, m := range modules {
		if m.Task.Workspace != nil {
			return true
		}
	}
	return false
}

// openService takes the workspace root, opens the logs and makes the runner.
func (a *app) openService(cfg *config, modules []*module.Module, slots int, workerID string) (*service, error) {
	s := &service{modules: modules}
	if err := s.openLogs(a, cfg, workerID); err != nil {
		return nil, err
	}
	root, err := cfg.openRoot(attempts.RootOptions{})
	if err != nil {
		s.close()
		return nil, err
	}
	s.root = root
	s.closers = append(s.closers, root.Close)
	body, closeBody := cfg.bodies(slots)
	s.closers = append(s.closers, closeBody)
	s.runner = &engine.Runner{Body: body, Ceiling: cfg.ceiling(), ReasonMax: cfg.ReasonMax,
		Transfers: cfg.TransferConcurrency, Log: s.log}
	if cfg.KeepFailed {
		s.runner.Keep = attempts.KeepFiles
	}
	if hasWorkspace(modules) {
		if err := s.openLake(cfg); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// openLake gives the runner its workspaces.
func (s *service) openLake(cfg *config) error {
	store, err := cfg.lakeStore()
	if err != nil {
		return err
	}
	cache, err := cfg.openCache()
	if err != nil {
		return err
	}
	s.lake = store
	s.runner.Store, s.runner.Root, s.runner.Cache = store, s.root, cache
	s.runner.Publisher = cfg.publisher(store, logs.Events(s.log))
	return nil
}

// makeReady asks both servers, and Conductor for the TaskDef of every module.
func (a *app) makeReady(ctx context.Context, client *conductor.Client, s *service, register bool) error {
	if _, err := client.Check(ctx); err != nil {
		return err
	}
	if err := checkLake(ctx, s.lake); err != nil {
		return err
	}
	var missing []string
	for _, m := range s.modules {
		local, err := module.TaskDef(m.Task)
		if err != nil {
			return m.Diagnose(err)
		}
		registered, changes, err := compareDefs(ctx, client, m.Task.Name, local)
		_, changes = setByHand(changes)
		switch {
		case err != nil:
			return err
		case registered == nil && !register:
			missing = append(missing, m.Task.Name)
		case registered == nil:
			if err := client.Create(ctx, local); err != nil {
				return err
			}
			s.log.Info("TaskDef created", "task", m.Task.Name)
		case len(changes) > 0:
			s.log.Warn("the registered TaskDef differs from the file; `perago register` updates it", "task", m.Task.Name, "fields", fieldsOf(changes))
		}
	}
	if len(missing) > 0 {
		return environmentError(fmt.Sprintf("`perago register %s`, or start with --register", filesOf(s.modules, missing)),
			"Conductor has no TaskDef of %s", strings.Join(missing, ", "))
	}
	return nil
}

func fieldsOf(changes []conductor.Difference) []string {
	var fields []string
	for _, c := range changes {
		fields = append(fields, c.Field)
	}
	return fields
}

// filesOf are the files that declare the named tasks.
func filesOf(modules []*module.Module, names []string) string {
	var files []string
	for _, m := range modules {
		for _, name := range names {
			if m.Task.Name == name {
				files = append(files, m.File)
			}
		}
	}
	return strings.Join(files, " ")
}

// worker puts the parts together.
func (s *service) worker(client *conductor.Client, cfg *config, slots int) *worker.Worker {
	w := &worker.Worker{
		RunAttempt: s.runner.Run, Queue: client, Leaser: client, Modules: s.modules, Slots: slots,
		PollIntervalMax: cfg.PollIntervalMax, Sweep: func(ctx context.Context) { s.sweep(ctx, cfg) }, SweepInterval: cfg.GCInterval, Log: s.log,
	}
	if s.lake != nil {
		w.ProbeStore = func(ctx context.Context) error { return checkLake(ctx, s.lake) }
	}
	if cfg.ForceKillAfter != nil {
		w.Grace = max(*cfg.ForceKillAfter, time.Nanosecond) // 0 is at once here, and never there
	}
	return w
}

// sweep removes what dead attempts left, here and on the server, and old logs.
func (s *service) sweep(ctx context.Context, cfg *config) {
	o := attempts.SweepOptions{KeepFor: cfg.GCTTL}
	if s.lake != nil {
		o.DropBranch = s.lake.DeleteBranch
	}
	swept, err := s.root.Sweep(ctx, o)
	logs, logsErr := s.logs.Sweep()
	s.log.Info("swept", "attempts", swept.Attempts, "branches", swept.Branches, "left", swept.Left, "logs", logs)
	if err := errors.Join(err, swept.Err, logsErr); err != nil {
		s.log.Warn("the sweep left something; the next one tries again", "error", err.Error())
	}
}

// stopping is what the signals mean to a worker: the first ends polling, the
// second ends what runs.
type stopping struct {
	drain context.Context // ends at the first signal
	force context.Context // ends at the second

	mu      sync.Mutex
	second  os.Signal // nil: there was none
	release func()    // stops listening
}

func (a *app) stopping(ctx context.Context) *stopping {
	s := &stopping{}
	var endDrain, endForce context.CancelCauseFunc
	s.drain, endDrain = context.WithCancelCause(ctx)
	s.force, endForce = context.WithCancelCause(ctx)
	release := a.onSignal(func(count int, sig os.Signal) {
		switch count {
		case 0:
			endDrain(errInterrupted)
		case 1:
			s.mu.Lock()
			s.second = sig
			s.mu.Unlock()
			endForce(queue.ErrForced)
		}
	})
	s.release = func() {
		release()
		endDrain(nil)
		endForce(nil)
	}
	return s
}

// outcome is nil for a worker that was drained, or ended by a second SIGTERM:
// that is what an operator asked for. A second Ctrl-C is an interruption.
func (s *stopping) outcome() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.second == syscall.SIGINT {
		return told(exitInterrupted)
	}
	return nil
}

// listen serves the worker's health, figures and status page at addr; "" is off.
func (s *service) listen(addr string, worker *worker.Worker) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return environmentError("choose another address with --http-addr, or leave it out", "PERAGO_HTTP_ADDR: %w", err)
	}
	server := &http.Server{Handler: statusHandler(worker.Snapshot, s.logs.Loss, s.modules, s.layers), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l) // ends with Close
	}()
	s.closers = append(s.closers, func() error {
		err := server.Close()
		<-done
		return err
	})
	s.log.Info("status page", "addr", l.Addr().String())
	return nil
}

// statusHandler answers /healthz, /readyz, /metrics and /.
func statusHandler(snapshot func() worker.Snapshot, loss func() logs.Loss, modules []*module.Module, layers []isolate.Layer) http.Handler {
	started := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !snapshot().Draining.IsZero() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		if err := loss().Err; err != nil {
			http.Error(w, "log records are lost: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, metrics(snapshot(), loss(), layers))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><meta http-equiv=refresh content=2><title>perago</title><pre>%s</pre>\n",
			html.EscapeString(strings.Join(table(snapshot(), modules, time.Since(started)), "\n")))
	})
	return mux
}

// metrics are the figures of a worker in the text form of Prometheus.
func metrics(s worker.Snapshot, loss logs.Loss, layers []isolate.Layer) string {
	var b strings.Builder
	write := func(name, kind, help string, samples ...string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		for _, sample := range samples {
			fmt.Fprintln(&b, name+sample)
		}
	}
	c := s.Counts
	write("perago_attempts_total", "counter", "Attempts that are over, by status.",
		fmt.Sprintf(`{status="COMPLETED"} %d`, c.Completed),
		fmt.Sprintf(`{status="FAILED"} %d`, c.Failed),
		fmt.Sprintf(`{status="FAILED_WITH_TERMINAL_ERROR"} %d`, c.FailedTerminal))
	write("perago_undelivered_total", "counter", "Results that Conductor did not take.", fmt.Sprintf(" %d", c.Undelivered))
	write("perago_log_records_lost_total", "counter", "Log records that could not be written to the log root.", fmt.Sprintf(" %d", loss.Records))
	write("perago_slots", "gauge", "Attempts that may run at once.", fmt.Sprintf(" %d", s.Slots))
	write("perago_running", "gauge", "Attempts that run now.", fmt.Sprintf(" %d", len(s.Running)))
	write("perago_isolation_layer", "gauge", "What holds a body in: 1 it does, 0 it is missing.", isolationFigures(layers)...)
	return b.String()
}
