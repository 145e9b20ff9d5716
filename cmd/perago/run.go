// run.go is `perago run`: one attempt, here, now. What it reads is prepared in
// runinput.go; what it tells afterwards is in runreport.go.

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
)

// runOptions are the flags of `run`.
type runOptions struct {
	params    string // JSON, @FILE or @- for stdin
	set       paramsFlag
	workspace string // DIR
	input     string // FILE or - for stdin
	root      string
	apply     bool
	publish   bool
	out       string // DIR
	keep      string // DIR
	diff      bool
	watch     bool
	format    string

	config func() (*config, error)
	given  map[string]bool // the flags that were set

	loaded func(m *module.Module, complaints diag.List) // told what a file was loaded as; nil: nobody
}

func (a *app) runCommand() *ffcli.Command {
	flags := newFlagSet("run")
	o := &runOptions{}
	flags.StringVar(&o.params, "params", "{}", "the parameters: `JSON`, @FILE, or @- for stdin")
	flags.Var(&o.set, "p", "one parameter, `NAME=VALUE`, over those of --params; can be repeated")
	flags.StringVar(&o.workspace, "workspace", "", "the `DIR` that the task sees as its workspace")
	flags.BoolVar(&o.apply, "apply", false, "make the workspace folder match, as a whole or not at all")
	flags.BoolVar(&o.diff, "diff", false, "show what is in each changed file: texts line by line, CSV row by row, others by size and checksum")
	flags.StringVar(&o.out, "out", "", "copy the files that the attempt wrote to `DIR`, which is made, or replaced when a run made it")
	flags.StringVar(&o.keep, "keep", "", "where the attempt fails, copy what it had written to `DIR`, with the reason in DIR.perago.json")
	flags.BoolVar(&o.watch, "watch", false, "run again each time that the task file, what it loads, the params file or the folder changes")
	flags.StringVar(&o.input, "input", "", "a whole Conductor input, `FILE` or - for stdin, against the configured lakeFS")
	flags.BoolVar(&o.publish, "publish", false, "publish to the branch that the input names")
	format := choiceFlag(flags, "format", "how the outcome is written", []string{"text", "json"})
	root := rootFlag(flags)
	o.config = a.configFlags(flags, running)
	return &ffcli.Command{
		Name:       "run",
		ShortUsage: "perago run FILE [flags]",
		ShortHelp:  "Run a task once, here and now, without any server.",
		LongHelp: `The workspace is a plain folder, seen through an overlay: it is never changed
unless --apply is given, and then as a whole or not at all. The output envelope
goes to stdout; what changed, where the time went and the limits used go to
stderr. A failed attempt prints nothing on stdout, unless with --format json.

  perago run tasks/features_build.star --workspace data/ --params '{"feature_set": "v1"}'
  perago run tasks/features_build.star --workspace data/ --diff --out out/
  perago run tasks/features_build.star --workspace data/ --diff --watch
  perago run tasks/metadata_validate.star --params @metadata.json`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			o.format, o.root, o.given = *format, *root, map[string]bool{}
			flags.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
			if err := o.check(args); err != nil {
				return err
			}
			if o.watch {
				return a.watchTask(ctx, args[0], o)
			}
			err := a.runTask(ctx, args[0], o)
			if f := (*failure)(nil); errors.As(err, &f) && o.format == "json" {
				// No attempt was made, but whoever reads stdout gets their object.
				return errors.Join(err, a.printOutcome(outcome{Status: queue.Failed, Reason: f.Error()}))
			}
			return err
		}),
	}
}

// check refuses flags that contradict each other.
func (o *runOptions) check(args []string) error {
	switch {
	case len(args) != 1:
		return usageError("", "run wants one task file, got %d", len(args))
	case o.given["input"] && (o.given["params"] || o.given["p"] || o.given["workspace"]):
		return usageError("", "--input is the whole input: --params, -p and --workspace do not go with it")
	case o.apply && !o.given["workspace"]:
		return usageError("", "--apply changes the folder of --workspace, and there is none")
	case (o.diff || o.given["out"] || o.given["keep"]) && !o.given["workspace"] && !o.given["input"]:
		return usageError("name its folder with --workspace DIR", "--diff, --out and --keep are about the files of a workspace, and there is none")
	case o.given["out"] && o.out == "" || o.given["keep"] && o.keep == "":
		return usageError("name a folder: --out out", "--out and --keep want a folder")
	case o.watch && (o.apply || o.publish):
		return usageError("leave one of them out; --out DIR holds what each run wrote", "--watch runs again on each change, which --apply and --publish would make themselves")
	case o.watch && (o.input == "-" || o.params == "@-"):
		return usageError("name a file", "--watch reads the input again for each run, and stdin is there once")
	case o.publish && !o.given["input"]:
		return usageError("", "--publish needs --input, which names the branch")
	}
	return nil
}

// fits refuses flags that contradict the task.
func (o *runOptions) fits(file string, m *module.Module) error {
	hasWorkspace := m.Task.Workspace != nil
	switch {
	case hasWorkspace && !o.given["workspace"] && !o.given["input"]:
		return usageError("name its folder: `perago run "+file+" --workspace DIR`", "the task of %s works on a workspace", file)
	case !hasWorkspace && o.given["workspace"]:
		return usageError("leave --workspace out", "the task of %s has no workspace", file)
	case !hasWorkspace && (o.diff || o.given["out"] || o.given["keep"]):
		return usageError("leave --diff, --out and --keep out", "the task of %s has no workspace, so it writes no files", file)
	case !hasWorkspace && o.publish:
		return usageError("leave --publish out", "the task of %s has no workspace, so there is nothing to publish", file)
	}
	return nil
}

// runTask loads a file and makes one attempt of it.
func (a *app) runTask(ctx context.Context, file string, o *runOptions) error {
	start := time.Now()
	m, complaints := loadOne(file, o.root)
	if o.loaded != nil {
		o.loaded(m, complaints)
	}
	if m == nil {
		return a.refused(complaints, o.format)
	}
	loaded := time.Since(start)
	if err := o.fits(file, m); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	attempt, complaints, err := a.runAttempt(m, o)
	if err != nil {
		return err
	}
	if len(complaints) > 0 {
		r := engine.Runner{ReasonMax: cfg.ReasonMax}
		return a.told(r.Refused(attempt, complaints), o, &leftovers{})
	}
	left, err := o.openLeftovers(m)
	if err != nil {
		return err
	}
	shown := a.showProgress(o.format)
	b, err := a.openBench(ctx, m, cfg, o, shown)
	if err != nil {
		return err
	}
	defer b.close()
	hooks := shown.hooks()
	b.leave(left, &hooks)
	result := b.runner.Run(ctx, m, attempt, hooks)
	shown.finish()
	result.Phases.Load += loaded
	unplaced := left.place(result)
	err = a.told(result, o, left)
	if unplaced != nil && err != nil { // the attempt decides how the command ends
		a.report(unplaced)
		return err
	}
	return errors.Join(err, unplaced)
}

// refused is a file that did not load: there was no attempt.
func (a *app) refused(list diag.List, format string) error {
	diag.WriteText(a.stderr, list, a.textOptions())
	if format == "json" {
		if err := a.printOutcome(outcome{Status: queue.Failed, Reason: list.Error(), Diagnostics: list}); err != nil {
			return err
		}
	}
	return told(exitInvalid)
}

// maxInput is the size, in bytes, above which nothing is taken for an input.
const maxInput = 64 << 20

// runAttempt makes the attempt that the flags describe. The diagnostics are for
// an input that is not even JSON; the engine looks at everything else.
func (a *app) runAttempt(m *module.Module, o *runOptions) (queue.Attempt, diag.List, error) {
	// A task of its own, of no workflow: two runs must never adopt one another's publication.
	attempt := queue.Attempt{TaskID: "run-" + strings.ToLower(rand.Text())}
	if o.given["input"] {
		data, err := a.readArgument("--input", o.input)
		if err != nil {
			return attempt, nil, err
		}
		attempt.Input = data
		return attempt, notJSON("the input", `want {"workspace": {…}, "params": {…}}, as Conductor hands it out`, data), nil
	}
	data, complaints, err := a.params(m.Task, o.params, o.set)
	if err != nil || complaints != nil {
		return attempt, complaints, err
	}
	attempt.Input = slices.Concat([]byte(`{"params": `), data, []byte("}"))
	return attempt, nil, nil
}

// params are those that --params and -p describe, as JSON.
func (a *app) params(task *starlib.Task, given string, set []string) (json.RawMessage, diag.List, error) {
	data := []byte(given)
	if name, isFile := strings.CutPrefix(given, "@"); isFile {
		var err error
		if data, err = a.readArgument("--params", name); err != nil {
			return nil, nil, err
		}
	}
	if complaints := notJSON("--params", "quote it for the shell: --params '{\"name\": \"value\"}', or put it in a file: --params @FILE, or give one by one: -p name=value", data); complaints != nil {
		return nil, complaints, nil
	}
	if len(set) == 0 {
		return data, nil, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, nil, usageError("", "-p sets a field of an object, and --params is none")
	}
	for _, pair := range set {
		name, value, _ := strings.Cut(pair, "=")
		raw, err := paramValue(task, name, value)
		if err != nil {
			return nil, nil, err
		}
		fields[name] = raw
	}
	data, err := json.Marshal(fields)
	return data, nil, err
}

// paramValue is what -p NAME=VALUE says: for a parameter that is text the value as
// it is, else JSON, and what is not JSON is text.
func paramValue(task *starlib.Task, name, value string) (json.RawMessage, error) {
	var names []string
	var field *schema.Field
	if task.Params != nil {
		for _, f := range task.Params.Fields {
			names = append(names, f.Name)
			if f.Name == name {
				field = f
			}
		}
	}
	if field == nil {
		hint := "it takes none"
		if near := diag.Nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean -p %s=...?", near)
		} else if len(names) > 0 {
			hint = "it takes " + diag.Shorten(strings.Join(names, ", "))
		}
		return nil, usageError(hint, "-p %s: the task has no such parameter", diag.Shorten(name))
	}
	t := field.Type
	if t.Kind == schema.KindOptional && value != "null" {
		t = t.Elem.Type
	}
	if t.Kind != schema.KindString && json.Valid([]byte(value)) {
		return json.RawMessage(value), nil
	}
	return json.Marshal(value)
}

// paramsFlag collects -p NAME=VALUE.
type paramsFlag []string

func (f *paramsFlag) String() string { return "" }

// Set implements flag.Value.
func (f *paramsFlag) Set(pair string) error {
	if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
		return errors.New("want NAME=VALUE, as in -p count=3")
	}
	*f = append(*f, pair)
	return nil
}

// notJSON complains about data that is no JSON value.
func notJSON(what, hint string, data []byte) diag.List {
	switch {
	case json.Valid(data):
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		return diag.List{{Code: "P3101", Severity: diag.Error, Message: what, Found: "nothing", Wanted: "a JSON object", Hint: hint}}
	}
	return diag.List{jsontext.NotJSON(what, string(data), hint)}
}

// readArgument reads the file that a flag names; "-" is stdin.
func (a *app) readArgument(name, file string) ([]byte, error) {
	var from io.Reader = a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, environmentError("", "%s: %w", name, err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err != nil {
		return nil, environmentError("", "%s: %w", name, err)
	}
	if len(data) > maxInput {
		return nil, environmentError("", "%s: %s is larger than %d MiB", name, file, maxInput>>20)
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}
