package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"perago/engine/isolate"
)

// What PERAGO_ISOLATION may be: what `start` does where a layer is missing.
const (
	isolationRequired   = "required"    // it does not start
	isolationBestEffort = "best-effort" // it says so, and starts
)

const (
	threadHint     = "run with PERAGO_EXECUTION_MODE=thread, trusted tasks only"
	bestEffortHint = "let the container's profile allow seccomp and the three calls of Landlock; or PERAGO_ISOLATION=best-effort, trusted tasks only"
)

// isolation is what is done where a layer is missing. Only Linux has all of
// them, and whoever asks for thread mode has asked for none.
func (c *config) isolation() string {
	switch {
	case c.Isolation != "":
		return c.Isolation
	case runtime.GOOS == "linux" && c.ExecutionMode != "thread":
		return isolationRequired
	}
	return isolationBestEffort
}

// layers says what holds a body in on this machine, in this configuration.
func (c *config) layers(ctx context.Context) ([]isolate.Layer, error) {
	if c.ExecutionMode == "thread" {
		return []isolate.Layer{{Name: "own process",
			Why: "PERAGO_EXECUTION_MODE=thread runs bodies inside the worker, and is for trusted tasks"}}, nil
	}
	return isolate.Layers(ctx)
}

// holdIn looks at what holds a body in before there is one, and refuses where
// the configuration wants more than there is.
func (c *config) holdIn(ctx context.Context) ([]isolate.Layer, error) {
	layers, err := c.layers(ctx)
	if err != nil {
		return nil, environmentError(threadHint, "isolation: %w", err)
	}
	if missing := isolate.Missing(layers); c.isolation() == isolationRequired && len(missing) > 0 {
		return nil, environmentError(bestEffortHint, "%w", &isolate.MissingError{Layers: missing})
	}
	return layers, nil
}

// isolation keeps what holds a body in for the figures, and warns of what is missing.
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
