package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
	"golang.org/x/term"

	"perago/cmd/perago/compare"
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
		all, err := compare.Files(ctx, w.changes, w.before, w.after)
		if err != nil {
			return err
		}
		p.app.tellDiffs(w.changes, all)
	default:
		tellChanges(p.app.stderr, w.changes)
	}
	return nil
}

// Bounds of what is kept of earlier sessions, and of one line.
const (
	maxHistory     = 1000     // lines
	maxHistoryLine = 1000     // bytes; a longer line is not kept
	maxLine        = 64 << 10 // bytes
	maxNames       = 100      // that Tab shows
)

// lineSource gives the lines of a session: those that a person types on a terminal,
// with an editor, or those of stdin. It reads only when it is asked to.
type lineSource struct {
	person  bool // at a terminal
	ask     chan string
	answers chan answer
	signals <-chan os.Signal

	terminal *os.File // what follows is of a person's session only
	keyboard *keyboard
	complete completer
	editor   *term.Terminal
	history  []string // oldest first
	file     string   // of the history; "" is none
	changed  bool     // the history
}

// completer gives the word before the cursor and the names that can stand there.
type completer func(before string) (word string, names []string)

type answer struct {
	line string // with its newline
	err  error
}

// openLines starts to read stdin.
func (a *app) openLines(complete completer) *lineSource {
	s := &lineSource{ask: make(chan string), answers: make(chan answer, 1), signals: a.signals}
	in, isFile := a.stdin.(*os.File)
	if env := environment(a.environ); isFile && term.IsTerminal(int(in.Fd())) && isTerminal(a.stderr) && env["TERM"] != "dumb" {
		s.person, s.terminal, s.complete = true, in, complete
		s.keyboard = &keyboard{Reader: in, Writer: a.stderr}
		s.file = historyFile(env)
		s.history = readHistory(s.file)
		s.openEditor(complete)
		go s.serve(s.edited)
		return s
	}
	lines := bufio.NewReaderSize(a.stdin, maxLine)
	go s.serve(func(string) (string, error) { return readLine(lines) })
	return s
}

// serve reads one line for each time it is asked. It is left behind where it waits
// for a line that never comes: a read of stdin cannot be ended.
func (s *lineSource) serve(read func(prompt string) (string, error)) {
	for prompt := range s.ask {
		line, err := read(prompt)
		s.answers <- answer{line, err}
	}
}

// readLine reads one line of a pipe or a file.
func readLine(from *bufio.Reader) (string, error) {
	line, err := from.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", environmentError("put it into a file, and name that", "a line of stdin has more than %d bytes", maxLine)
	case err == io.EOF && len(line) > 0:
		return string(line) + "\n", nil
	case err != nil:
		return "", err
	}
	return string(line), nil
}

// next is the next line, of a new statement or of one that goes on. io.EOF is the
// end, errDropped a Ctrl-C.
func (s *lineSource) next(first bool) (string, error) {
	prompt := "... "
	if first {
		prompt = ">>> "
	}
	s.ask <- prompt
	select {
	case a := <-s.answers:
		return a.line, a.err
	case <-s.signals:
		return "", errInterrupted
	}
}

// keyboard is a terminal as the editor sees it.
type keyboard struct {
	io.Reader
	io.Writer
	dropped bool // Ctrl-C came
}

const ctrlC = 3

// Read implements io.Reader. The editor ends a line at Ctrl-C as it does at Ctrl-D.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.dropped = k.dropped || bytes.IndexByte(p[:n], ctrlC) >= 0
	return n, err
}

// openEditor makes a new editor, with nothing typed yet.
func (s *lineSource) openEditor(complete completer) {
	s.editor = term.NewTerminal(s.keyboard, "")
	s.editor.History = (*history)(s)
	s.editor.SetBracketedPasteMode(true)
	s.editor.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return s.tab(complete, line, pos)
	}
}

// tab is what the Tab key does: at the beginning of a line it indents, behind a
// word it adds what all names have that can stand there, and shows them.
func (s *lineSource) tab(complete completer, line string, pos int) (string, int, bool) {
	before, after := line[:pos], line[pos:]
	add := "    "
	if strings.TrimSpace(before) != "" {
		word, names := complete(before)
		if len(names) == 0 {
			return "", 0, false
		}
		common := names[0]
		for _, name := range names[1:] {
			for !strings.HasPrefix(name, common) {
				common = common[:len(common)-1]
			}
		}
		if add = common[len(word):]; add == "" && len(names) > 1 {
			shown := strings.Join(names[:min(len(names), maxNames)], "  ")
			if len(names) > maxNames {
				shown += "  …"
			}
			fmt.Fprintln(s.editor, shown)
		}
	}
	return before + add + after, pos + len(add), true
}

// edited is one line that a person typed. The terminal is the editor's only as
// long as it takes: while a statement runs, Ctrl-C is a signal.
func (s *lineSource) edited(prompt string) (string, error) {
	fd := int(s.terminal.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", environmentError("", "the terminal: %w", err)
	}
	defer term.Restore(fd, before)
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		s.editor.SetSize(width, height)
	}
	s.editor.SetPrompt(prompt)
	line, err := s.editor.ReadLine()
	switch {
	case err == io.EOF && s.keyboard.dropped:
		s.keyboard.dropped = false
		fmt.Fprint(s.keyboard, "^C\r\n")
		s.openEditor(s.complete) // the old one has the line still
		return "", errDropped
	case err == io.EOF:
		fmt.Fprint(s.keyboard, "\r\n")
		return "", err
	case err != nil && !errors.Is(err, term.ErrPasteIndicator):
		return "", err
	}
	if len(line) > maxLine {
		return "", environmentError("put it into a file, and name that", "a line has more than %d bytes", maxLine)
	}
	return line + "\n", nil
}

// history is the lines that were typed, as the editor asks for them.
type history lineSource

// Add implements term.History.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || len(line) > maxHistoryLine || len(h.history) > 0 && h.history[len(h.history)-1] == line {
		return
	}
	h.history = append(h.history, line)
	if len(h.history) > maxHistory {
		h.history = h.history[1:]
	}
	h.changed = true
}

// Len implements term.History.
func (h *history) Len() int { return len(h.history) }

// At implements term.History: 0 is the newest.
func (h *history) At(i int) string { return h.history[len(h.history)-1-i] }

// close keeps the history.
func (s *lineSource) close() error {
	if s.editor == nil {
		return nil
	}
	s.editor.SetBracketedPasteMode(false)
	if !s.changed || s.file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
		return err
	}
	return replaceFile(s.file, []byte(strings.Join(s.history, "\n")+"\n"), 0o600)
}

// historyFile is where the history is kept: in the folder for the state of
// programs. "" where the user has none.
func historyFile(env map[string]string) string {
	state := env["XDG_STATE_HOME"]
	if !filepath.IsAbs(state) {
		home := env["HOME"]
		if !filepath.IsAbs(home) {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "perago", "repl_history")
}

// readHistory reads the last lines of the history.
func readHistory(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHistory*(maxHistoryLine+1)))
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" && len(line) <= maxHistoryLine {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-maxHistory):]
}
