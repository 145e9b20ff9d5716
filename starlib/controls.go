package starlib

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// controls(...) and its groups: the knobs of Conductor, and the budget of a
// publication.

func defaultControls() Controls {
	return Controls{Retry: Retry{Count: 3, Logic: "FIXED", DelaySeconds: 60, On: "any"}, Timeout: Timeout{Policy: "TIME_OUT_WF", ResponseSeconds: 600}}
}

// amount is an int argument within bounds. Conductor keeps 32 bits.
func (c *call) amount(name string, otherwise, least, most int) (int, error) {
	n, err := c.integer(name, otherwise)
	if err != nil {
		return 0, err
	}
	p := &diag.Problem{Code: "P2106", Message: fmt.Sprintf("%s: `%s`", c.builtin.Name, name), Found: fmt.Sprint(n), Argument: c.argument(name)}
	switch {
	case n < least:
		p.Wanted = fmt.Sprintf("at least %d", least)
	case n > most:
		p.Wanted = fmt.Sprintf("at most %d", most)
	default:
		return n, nil
	}
	return 0, p
}

const maxAmount = math.MaxInt32

// amounts reads several int arguments of 0 and more; what is left out stays.
func (c *call) amounts(to map[string]*int) error {
	for _, p := range c.builtin.Params { // in the order of the reference, so that the first complaint is always the same
		into := to[p.Name]
		if into == nil {
			continue
		}
		n, err := c.amount(p.Name, *into, 0, maxAmount)
		if err != nil {
			return err
		}
		*into = n
	}
	return nil
}

// choice is a string argument that must be one of a few words.
func (c *call) choice(name string, words []string) (string, error) {
	s, err := c.text(name, words[0])
	if err != nil || slices.Contains(words, s) {
		return s, err
	}
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = diag.Quote(w)
	}
	return "", &diag.Problem{Code: "P2107", Message: fmt.Sprintf("%s: `%s`", c.builtin.Name, name), Found: diag.Quote(s),
		Wanted: "one of " + strings.Join(list, ", "), Hint: diag.DidYouMean(s, words, diag.Quote), Argument: c.argument(name)}
}

func makeRetry(c *call) (starlark.Value, error) {
	r := defaultControls().Retry
	var err error
	if r.Count, err = c.amount("count", r.Count, 0, 10); err != nil {
		return nil, err
	}
	if r.Logic, err = c.choice("logic", []string{"FIXED", "EXPONENTIAL_BACKOFF", "LINEAR_BACKOFF"}); err != nil {
		return nil, err
	}
	if r.On, err = c.choice("on", []string{"any", "transient"}); err != nil {
		return nil, err
	}
	err = c.amounts(map[string]*int{"delay_seconds": &r.DelaySeconds, "max_delay_seconds": &r.MaxDelaySeconds, "jitter_ms": &r.JitterMS})
	r.at = callerPosition(c.thread)
	return &declared[Retry]{kind: "retry", value: r}, err
}

func makeTimeout(c *call) (starlark.Value, error) {
	t := defaultControls().Timeout
	var err error
	if t.Policy, err = c.choice("policy", []string{"TIME_OUT_WF", "RETRY", "ALERT_ONLY"}); err != nil {
		return nil, err
	}
	err = c.amounts(map[string]*int{"seconds": &t.Seconds, "response_seconds": &t.ResponseSeconds, "poll_seconds": &t.PollSeconds, "total_seconds": &t.TotalSeconds})
	t.at = callerPosition(c.thread)
	return &declared[Timeout]{kind: "timeout", value: t}, err
}

func makeLimits(c *call) (starlark.Value, error) {
	var l ExecutionLimits
	for _, g := range []struct {
		name string
		to   **int
	}{
		{"concurrent_exec_limit", &l.ConcurrentExecLimit},
		{"rate_limit_per_frequency", &l.RateLimitPerFrequency},
		{"rate_limit_frequency_in_seconds", &l.RateLimitFrequencyInSeconds},
	} {
		if c.absent(g.name) {
			continue
		}
		n, err := c.amount(g.name, 0, 0, maxAmount)
		if err != nil {
			return nil, err
		}
		*g.to = &n
	}
	if (l.RateLimitPerFrequency == nil) != (l.RateLimitFrequencyInSeconds == nil) {
		given, missing := "rate_limit_per_frequency", "rate_limit_frequency_in_seconds"
		if l.RateLimitPerFrequency == nil {
			given, missing = missing, given
		}
		return nil, &diag.Problem{Code: "P2108", Message: fmt.Sprintf("limits: `%s` without `%s`", given, missing), Wanted: "both or none", Argument: given}
	}
	return &declared[ExecutionLimits]{kind: "limits", value: l}, nil
}

func makePublishBudget(c *call) (starlark.Value, error) {
	b := &PublishBudget{at: callerPosition(c.thread)}
	for _, g := range []struct {
		name  string
		to    *int
		least int
	}{
		{"observed_merge_p99_seconds", &b.ObservedMergeP99, 0},
		{"safety_margin_seconds", &b.SafetyMargin, 0},
		{"lakefs_merge_timeout_seconds", &b.LakeFSMergeTimeout, 1},
		{"conductor_completion_timeout_seconds", &b.ConductorCompletionTimeout, 1},
		{"worker_shutdown_grace_seconds", &b.WorkerShutdownGrace, 1},
		{"heartbeat_interval_seconds", &b.HeartbeatInterval, 1},
	} {
		n, err := c.amount(g.name, 0, g.least, maxAmount)
		if err != nil {
			return nil, err
		}
		*g.to = n
	}
	if least := b.ObservedMergeP99 + b.SafetyMargin; b.LakeFSMergeTimeout < least {
		return nil, &diag.Problem{Code: "P2109", Message: "publish_budget: `lakefs_merge_timeout_seconds` leaves no time for a slow merge", Found: fmt.Sprint(b.LakeFSMergeTimeout),
			Wanted: fmt.Sprintf("at least %d: observed_merge_p99_seconds + safety_margin_seconds", least), Argument: "lakefs_merge_timeout_seconds"}
	}
	return &declared[*PublishBudget]{kind: "publish_budget", value: b}, nil
}

func makeControls(c *call) (starlark.Value, error) {
	all := defaultControls()
	retry, given, err := declaredArg[Retry](c, "retry")
	if err != nil {
		return nil, err
	}
	if given {
		all.Retry = retry
	}
	timeout, given, err := declaredArg[Timeout](c, "timeout")
	if err != nil {
		return nil, err
	}
	if given {
		all.Timeout = timeout
	}
	if all.Limits, _, err = declaredArg[ExecutionLimits](c, "limits"); err != nil {
		return nil, err
	}
	if all.PublishBudget, _, err = declaredArg[*PublishBudget](c, "publish_budget"); err != nil {
		return nil, err
	}
	return &declared[Controls]{kind: "controls", value: all}, nil
}

func defaultResources() Resources {
	return Resources{Memory: 512 << 20, Files: 1_000_000, Scratch: 10 << 30, Output: 10 << 30}
}

func makeResources(c *call) (starlark.Value, error) {
	r := defaultResources()
	var err error
	if r.Memory, err = c.size("memory", r.Memory); err != nil {
		return nil, err
	}
	if r.Output, err = c.size("output", r.Output); err != nil {
		return nil, err
	}
	if r.Scratch, err = c.size("scratch", r.Scratch); err != nil {
		return nil, err
	}
	if r.Files, err = c.amount("files", r.Files, 1, maxAmount); err != nil {
		return nil, err
	}
	if r.Seconds, err = c.amount("seconds", 0, 0, maxAmount); err != nil {
		return nil, err
	}
	steps, err := c.amount("steps", 0, 0, math.MaxInt)
	r.Steps = uint64(steps)
	return &declared[Resources]{kind: "resources", value: r}, err
}

// size is a parameter that is a size in bytes.
func (c *call) size(name string, otherwise int64) (int64, error) {
	given := c.arg(name)
	if given == nil {
		return otherwise, nil
	}
	text, err := c.text(name, "")
	if err != nil {
		p := c.wrongType(name, given)
		p.Hint = `write a size with its unit, such as "512MiB"`
		return 0, p
	}
	n, err := parseSize(text)
	if err != nil {
		return 0, &diag.Problem{Code: "P2121", Message: "resources: `" + name + "` is not a size", Found: diag.Quote(text), Wanted: err.Error(), Argument: c.argument(name)}
	}
	return n, nil
}

// parseSize reads a size in bytes: a number and a unit, "512MiB", "1.5 GB". KiB,
// MiB, GiB, TiB and KB, MB, GB, TB mean the same, powers of 1024; without a unit
// it is bytes. The error says what is wanted.
func parseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	number := s[:len(s)-len(strings.TrimLeft(s, "0123456789."))]
	n, err := strconv.ParseFloat(number, 64)
	unit := unitSize(strings.TrimSpace(s[len(number):]))
	if err != nil || unit == 0 {
		return 0, errors.New(`a number and KB, MB or GB, such as "512MB"`)
	}
	if n *= unit; n >= 1<<60 {
		return 0, errors.New("less than a million TB")
	}
	return int64(n), nil
}

// unitSize is how many bytes a unit stands for, 0 when there is no such unit.
func unitSize(unit string) float64 {
	switch strings.ToUpper(unit) {
	case "", "B":
		return 1
	case "KB", "KIB":
		return 1 << 10
	case "MB", "MIB":
		return 1 << 20
	case "GB", "GIB":
		return 1 << 30
	case "TB", "TIB":
		return 1 << 40
	}
	return 0
}
