package main

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"strings"
	"time"

	"perago/engine/isolate"
	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/worker"
)

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
