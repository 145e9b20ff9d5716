package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/storage"
)

// replOptions are the flags of `repl`.
type replOptions struct {
	params    string
	set       paramsFlag
	workspace string
	root      string
	config    func() (*config, error)
}

func (a *app) replCommand() *ffcli.Command {
	flags := newFlagSet("repl")
	o := &replOptions{}
	flags.StringVar(&o.params, "params", "{}", "the parameters: `JSON` or @FILE")
	flags.Var(&o.set, "p", "one parameter, `NAME=VALUE`, over those of --params; can be repeated")
	flags.StringVar(&o.workspace, "workspace", "", "the `DIR` that `workspace` is a private view of")
	root := rootFlag(flags)
	o.config = a.configFlags(flags, prompting)
	return &ffcli.Command{
		Name:       "repl",
		ShortUsage: "perago repl [FILE] [flags]",
		ShortHelp:  "Type statements of the language, and see at once what they give.",
		LongHelp: `The names of FILE are there, and those that it loads; ` + "`params`" + ` as a run would get
them; ` + "`workspace`" + `, a private view of a folder: what is written is seen by the next
statement, and never changes the folder. Every statement has the limits of a body.

` + promptHelp + `
  perago repl tasks/features_build.star --workspace data/ -p feature_set=v1
  echo 'text.wrap("a b c", width = 3)' | perago repl`,
		FlagSet: flags,
		Exec: func(ctx context.Context, args []string) error {
			o.root = *root
			if len(args) > 1 {
				return usageError("", "repl wants one task file, or none, got %d", len(args))
			}
			if o.params == "@-" {
				return usageError("name a file", "repl reads statements from stdin, so the parameters cannot come from there")
			}
			return a.repl(ctx, args, o)
		},
	}
}

// promptHelp is what :help says.
const promptHelp = `At the prompt: Tab completes, a line that begins with : is for the prompt itself.

  :changes   what was written to the workspace so far
  :diff      the same, with what is in the files
  :reset     forget all names that were bound; what was written stays
  :help      this
  :quit      leave, as Ctrl-D does; Ctrl-C ends the statement that runs
`

// prompt is one session of `repl`.
type prompt struct {
	app      *app
	session  *engine.Prompt
	lines    *lineSource
	noParams bool

	overlay *workspace.Overlay // nil: there is no workspace
	store   storage.Reader
	spec    *workspace.Spec
	closers []func() error
}

func (a *app) repl(ctx context.Context, files []string, o *replOptions) error {
	m := module.Nothing()
	if len(files) == 1 {
		var complaints diag.List
		if m, complaints = loadOne(files[0], o.root); m == nil {
			return complaints
		}
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	p := &prompt{app: a}
	defer p.close()
	if err := p.open(m, cfg, o); err != nil {
		return err
	}
	p.lines = a.openLines(func(before string) (string, []string) { return p.session.Complete(before) })
	p.closers = append(p.closers, p.lines.close)
	p.greet(m)
	return p.loop(ctx)
}

func (p *prompt) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i]() // what is left of a temporary folder, the next sweep removes
	}
}

// open makes what the statements work on.
func (p *prompt) open(m *module.Module, cfg *config, o *replOptions) error {
	call := engine.Call{Progress: func(starlib.Progress) {},
		Log: func(r starlib.Record) { fmt.Fprintln(p.app.stderr, recordLine(r)) }}
	p.spec = &workspace.Spec{}
	files, scratch := 0, int64(0)
	if m.Task != nil {
		files, scratch = m.Task.Resources.Files, m.Task.Resources.Scratch
		ok, err := p.params(m, o, &call)
		if err != nil {
			return err
		}
		if p.noParams = !ok; p.noParams {
			fmt.Fprintln(p.app.stderr, "`params` is not there: give what is missing with --params or -p")
		}
		switch {
		case m.Task.Workspace != nil && o.workspace == "":
			fmt.Fprintln(p.app.stderr, "`workspace` is not there: name its folder with --workspace DIR")
		case m.Task.Workspace != nil:
			p.spec = m.Task.Workspace
		case o.workspace != "":
			return usageError("leave --workspace out", "the task of %s has no workspace", m.File)
		}
	} else {
		p.noParams = true
		if len(o.set) > 0 || o.params != "{}" {
			return usageError("name the file: `perago repl FILE -p NAME=VALUE`", "parameters are of a task, and no task file is named")
		}
	}
	if o.workspace != "" {
		if err := p.view(cfg, o.workspace, files, scratch); err != nil {
			return err
		}
		call.Files = p.overlay
	}
	p.session = engine.NewPrompt(m, call, cfg.ceiling(), p.noParams)
	p.closers = append(p.closers, func() error { return p.session.Close(context.Background()) })
	return nil
}

// params holds what the flags give against the task, and complains.
func (p *prompt) params(m *module.Module, o *replOptions, call *engine.Call) (ok bool, err error) {
	raw, complaints, err := p.app.params(m.Task, o.params, o.set)
	if err != nil {
		return false, err
	}
	if complaints == nil {
		call.Params, complaints = m.Task.CheckParams(raw)
	}
	diag.WriteText(p.app.stderr, complaints, p.app.textOptions())
	return len(complaints) == 0, nil
}

// view opens the private view of a folder.
func (p *prompt) view(cfg *config, dir string, files int, scratch int64) error {
	store, err := openWorkspaceFolder(dir)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, store.Close)
	root, err := cfg.openRoot(attempts.RootOptions{Shared: true})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, root.Close)
	place, err := root.NewAttempt(attempts.Record{Task: attempts.TaskKey{Name: "perago repl"}})
	if err != nil {
		return environmentError("", "attempt folder: %w", err)
	}
	p.closers = append(p.closers, func() error { return place.Close(attempts.Drop) })
	p.store = store
	p.overlay = workspace.NewOverlay(store, workspace.Ref{}, workspace.OverlayOptions{Spec: *p.spec, Dir: place.Files(), Files: files, Scratch: scratch})
	p.closers = append(p.closers, p.overlay.Close)
	return nil
}

// recordLine is what a statement logs or prints.
func recordLine(r starlib.Record) string {
	line := diag.Printable(r.Message)
	if r.Level != slog.LevelInfo {
		line = r.Level.String() + " " + line
	}
	for _, f := range r.Fields {
		line += " " + diag.Printable(f.Key) + "=" + diag.Printable(f.Value.String())
	}
	return line
}

// greet says, to a person, what is there.
func (p *prompt) greet(m *module.Module) {
	if !p.lines.person {
		return
	}
	fmt.Fprintln(p.app.stderr, ":help says what there is, Ctrl-D leaves")
	if names := p.session.Given(); len(names) > 0 {
		fmt.Fprintf(p.app.stderr, "names: %s\n", diag.ShortenTo(strings.Join(names, ", "), 300))
	}
}

// errDropped ends the input of a statement that its author gave up.
var errDropped = errors.New("dropped")

// loop reads and runs statements until there are no more.
func (p *prompt) loop(ctx context.Context) error {
	for {
		first := true
		statement, complaints, err := p.session.Read(func() (string, error) {
			for {
				line, err := p.lines.next(first)
				if err == nil && first && strings.HasPrefix(strings.TrimSpace(line), ":") {
					if leave := p.command(ctx, strings.TrimSpace(line)); leave {
						return "", io.EOF
					}
					continue
				}
				first = false
				return line, err
			}
		})
		switch {
		case errors.Is(err, errDropped):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(complaints) > 0:
			diag.WriteText(p.app.stderr, complaints, p.app.textOptions())
		case !statement.Empty():
			if err := p.eval(ctx, statement); err != nil {
				return err
			}
		}
	}
}

// eval runs one statement. Its error ends the session.
func (p *prompt) eval(ctx context.Context, s *module.Typed) error {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := p.app.cancelOnSignal(cancel)
	shown, err := p.session.Eval(ctx, s)
	stop()
	switch complaints := engine.Complaints(err); {
	case len(complaints) > 0:
		diag.WriteText(p.app.stderr, complaints, p.app.textOptions())
		if complaints[0].Code == "P4003" {
			fmt.Fprintln(p.app.stderr, "(the values that were bound count too: :reset forgets them)")
		}
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(p.app.stderr, "interrupted: the names are as they were when it ended")
		if !p.lines.person {
			return errInterrupted
		}
	case err != nil:
		p.app.report(environmentError("please report it, with what you typed", "perago itself failed: %w", err))
	case shown != "":
		fmt.Fprintln(p.app.stdout, shortened(diag.PrintableLines(shown)))
	}
	return nil
}

// maxShown bounds what is shown of one value, in bytes.
const maxShown = 16 << 10

func shortened(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + fmt.Sprintf("… (%s in all)", shortSize(int64(len(s))))
}

// command does what a line that begins with : asks for. leave ends the session.
func (p *prompt) command(ctx context.Context, line string) (leave bool) {
	switch line {
	case ":q", ":quit", ":exit":
		return true
	case ":help", ":h", ":?":
		fmt.Fprint(p.app.stderr, promptHelp)
	case ":reset":
		p.session.Reset(p.noParams)
	case ":changes", ":diff":
		if p.overlay == nil {
			fmt.Fprintln(p.app.stderr, "there is no workspace: start with --workspace DIR")
			return false
		}
		if err := p.changes(ctx, line == ":diff"); err != nil {
			p.app.report(environmentError("", "%w", err))
		}
	default:
		hint := diag.DidYouMean(strings.TrimPrefix(line, ":"), []string{"changes", "diff", "reset", "help", "quit"}, func(s string) string { return ":" + s })
		p.app.report(usageError(hint, "the prompt has no %s; :help lists what there is", diag.Shorten(line)))
	}
	return false
}

// changes shows what was written so far.
func (p *prompt) changes(ctx context.Context, diffs bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer p.app.cancelOnSignal(cancel)()
	w, err := writtenBy(ctx, p.store, workspace.Ref{}, p.spec, p.overlay)
	switch {
	case err != nil:
		return err
	case len(w.changes) == 0:
		fmt.Fprintln(p.app.stderr, "nothing was written; a file that is open for writing counts when it is closed")
	case diffs:
		all, err := diffOf(ctx, w)
		if err != nil {
			return err
		}
		p.app.tellDiffs(w.changes, all)
	default:
		tellChanges(p.app.stderr, w.changes)
	}
	return nil
}
