package starlib

// controls(...) and its groups: the knobs of Conductor, and the budget of a
// publication.

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

func defaultControls() Controls {
	return Controls{Retry: Retry{Count: 3, Logic: "FIXED", DelaySeconds: 60, On: "any"}, Timeout: Timeout{Policy: "TIME_OUT_WF", ResponseSeconds: 600}}
}

// amount is an int argument within bounds. Conductor keeps 32 bits.
func (c *call) amount(name string, otherwise, least, most int) (int, error) {
	n, err := c.integer(name, otherwise)
	if err != nil {
		return 0, err
	}
	p := &diag.Problem{Code: "P2106", Message: fmt.Sprintf("%s: `%s`", c.builtin.Name, name), Found: fmt.Sprint(n), Argument: c.place(name)}
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
		list[i] = quoted(w)
	}
	return "", &diag.Problem{Code: "P2107", Message: fmt.Sprintf("%s: `%s`", c.builtin.Name, name), Found: quoted(s),
		Wanted: "one of " + strings.Join(list, ", "), Hint: didYouMean(diag.Nearest(s, words), quoted), Argument: c.place(name)}
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
