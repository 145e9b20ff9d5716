package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"perago/cmd/perago/compare"
	"perago/engine"
	"perago/engine/queue"
	"perago/starlib/diag"
	"perago/workspace"
)

// outcome is what `run --format json` prints, whatever became of the attempt.
type outcome struct {
	Status      queue.Status       `json:"status"`
	Reason      string             `json:"reason"`
	Output      json.RawMessage    `json:"output"`
	Changes     []workspace.Change `json:"changes"`
	Phases      phases             `json:"phases"`
	Usage       usageFigures       `json:"usage"`
	Diagnostics diag.List          `json:"diagnostics"`
	Diffs       []compare.File     `json:"diffs,omitempty"`  // with --diff
	Reused      string             `json:"reused,omitempty"` // the commit whose files and result were taken over
}

// phases are the times of engine.Phases in milliseconds.
type phases struct {
	Load    float64 `json:"load_ms"`
	List    float64 `json:"list_ms"`
	Pre     float64 `json:"pre_ms"`
	Body    float64 `json:"body_ms"`
	Post    float64 `json:"post_ms"`
	Publish float64 `json:"publish_ms"`
}

type usageFigures struct {
	Steps       uint64 `json:"steps"`
	PeakBytes   int64  `json:"peak_bytes"`
	ObjectsRead int    `json:"objects_read"`
	BytesRead   int64  `json:"bytes_read"`
}

func outcomeOf(r engine.Result) outcome {
	ms, p := milliseconds, r.Phases
	return outcome{
		Status: r.Status, Reason: r.Reason, Output: r.Output, Changes: r.Changes, Diagnostics: r.Diagnostics, Reused: r.Reused,
		Phases: phases{ms(p.Load), ms(p.List), ms(p.Prepare + p.Pre), ms(p.Body), ms(p.Post), ms(p.Publish)},
		Usage:  usageFigures{r.Body.Steps, r.Body.PeakBytes, r.Files.ObjectsRead, r.Files.BytesRead},
	}
}

func (a *app) printOutcome(o outcome) error {
	if o.Changes == nil {
		o.Changes = []workspace.Change{}
	}
	if o.Diagnostics == nil {
		o.Diagnostics = diag.List{}
	}
	return writeJSON(a.stdout, o)
}

// told tells of an attempt, and says how the command ends.
func (a *app) told(r engine.Result, o *runOptions, left *leftovers) error {
	var err error
	if o.format == "json" {
		object := outcomeOf(r)
		object.Diffs = left.diffs
		err = a.printOutcome(object)
	} else if r.Status == queue.Completed {
		err = writeJSON(a.stdout, r.Output)
	}
	a.tellStory(r, o, left)
	switch {
	case err != nil:
		return err
	case r.Status == queue.Completed:
		return nil
	case r.Status == queue.FailedTerminal:
		return told(exitTerminal)
	case fromSurroundings(r):
		return told(exitEnvironment)
	}
	return told(exitInvalid)
}

// fromSurroundings: it was not the task that failed, but a server, the network or a disk.
func fromSurroundings(r engine.Result) bool {
	return len(r.Diagnostics) > 0 && r.Diagnostics[0].Code == "P4901"
}

// tellStory writes to stderr: what went wrong, or what changed; then the figures.
func (a *app) tellStory(r engine.Result, o *runOptions, left *leftovers) {
	if errors.Is(r.Err, errInterrupted) || errors.Is(r.Err, errChanged) {
		return // whoever pressed Ctrl-C, or saved the file, knows
	}
	if r.Status != queue.Completed {
		diag.WriteText(a.stderr, r.Diagnostics, a.textOptions())
		fmt.Fprintln(a.stderr, verdict(r.Status))
	}
	a.tellFiles(r, o, left)
	p := r.Phases
	if p.Body == 0 {
		return // the body did not run: there are no figures worth a line
	}
	fmt.Fprintf(a.stderr, "load %s, list %s, pre %s, body %s, post %s, publish %s\n",
		shortTime(p.Load), shortTime(p.List), shortTime(p.Prepare+p.Pre), shortTime(p.Body), shortTime(p.Post), shortTime(p.Publish))
	fmt.Fprintln(a.stderr, limitsUsed(r))
}

// tellFiles writes what became of the files: the changes, and where they are.
func (a *app) tellFiles(r engine.Result, o *runOptions, left *leftovers) {
	completed := r.Status == queue.Completed
	changes := r.Changes
	switch {
	case completed && left.diff && len(changes) > 0:
		a.tellDiffs(changes, left.diffs)
	case len(changes) > 0:
		tellChanges(a.stderr, changes)
	case !completed && left.diff && len(left.changes) > 0:
		fmt.Fprintln(a.stderr, "what it had written:")
		a.tellDiffs(left.changes, left.diffs)
	}
	for _, f := range []*resultFolder{left.out, left.keep} {
		if f != nil && f.placed {
			fmt.Fprintln(a.stderr, f.sentence(left.changes))
		}
	}
	if completed && len(changes) > 0 && o.given["workspace"] && !o.apply && !o.given["out"] {
		fmt.Fprintln(a.stderr, "(not applied: with --apply the folder would be made to match)")
	}
	if !completed && o.given["out"] {
		fmt.Fprintf(a.stderr, "(%s is as it was: the attempt failed)\n", o.out)
	}
}

// verdict is a failed status, and what Conductor would make of it.
func verdict(s queue.Status) string {
	if s == queue.FailedTerminal {
		return string(s) + ": Conductor would not retry it"
	}
	return string(s) + ": Conductor would retry it, as the controls say"
}

// tellChanges writes one line a change: what, how large, where.
func tellChanges(w io.Writer, changes []workspace.Change) {
	widest := 0
	for _, c := range changes {
		widest = max(widest, len(shortSize(c.Size)))
	}
	for _, c := range changes {
		fmt.Fprintf(w, "%s  %*s  %s\n", c.Op, widest, shortSize(c.Size), diag.Printable(c.Path))
	}
}

// limitsUsed sets what the body took beside what it was allowed.
func limitsUsed(r engine.Result) string {
	of := func(limit string, is bool) string {
		if !is {
			return ""
		}
		return " of " + limit
	}
	parts := []string{
		fmt.Sprintf("%d%s steps", r.Body.Steps, of(fmt.Sprint(r.Limits.Steps), r.Limits.Steps > 0)),
		shortTime(r.Phases.Body) + of(r.Limits.Wall.String(), r.Limits.Wall > 0) + " of time",
	}
	if r.Body.PeakBytes > 0 {
		parts = append(parts, shortSize(r.Body.PeakBytes)+of(shortSize(r.Limits.Memory), r.Limits.Memory > 0)+" of memory")
	}
	if r.Files.ObjectsListed > 0 {
		parts = append(parts, fmt.Sprintf("read %d of %d files, %s", r.Files.ObjectsRead, r.Files.ObjectsListed, shortSize(r.Files.BytesRead)))
	}
	return "used: " + strings.Join(parts, "; ")
}

// shortTime is a duration as a person reads it: "0.4 ms", "2.35 s".
func shortTime(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// shortSize is a size as a person reads it: "120 B", "1.5 MB" (1024-based).
func shortSize(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1<<10 && unit < 3 {
		size, unit = size/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %s", size, []string{"KB", "MB", "GB", "TB"}[unit])
}

// tellDiffs writes changes with what was compared of them.
func (a *app) tellDiffs(changes []workspace.Change, diffs []compare.File) {
	colour := a.colorful(a.stderr)
	for i, c := range changes {
		if i == len(diffs) {
			fmt.Fprintf(a.stderr, "(%s more not compared: --diff shows the first %d)\n", counted(len(changes)-i, "file"), compare.MaxFiles)
			tellChanges(a.stderr, changes[i:])
			return
		}
		tellChanges(a.stderr, changes[i:i+1])
		d := diffs[i]
		for _, line := range d.Lines {
			fmt.Fprintln(a.stderr, inColour(line, colour))
		}
		if d.Left > 0 {
			fmt.Fprintf(a.stderr, "(%s more of %s)\n", counted(d.Left, "line"), diag.Printable(c.Path))
		}
	}
}

// inColour is a line of a diff as a terminal shows it.
func inColour(line string, colour bool) string {
	code := ""
	switch {
	case !colour || line == "":
	case line[0] == '+':
		code = "32"
	case line[0] == '-':
		code = "31"
	case line[0] == '~':
		code = "33"
	case line[0] == '@':
		code = "36"
	}
	if code == "" {
		return line
	}
	return "\x1b[" + code + "m" + line + "\x1b[0m"
}
