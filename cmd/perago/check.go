package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"
	"go.starlark.net/syntax"

	"perago/engine/isolate"
	"perago/engine/module"
	"perago/engine/tasktest"
	"perago/starlib/diag"
	"perago/starlib/lint"
	"perago/starlib/statement"
)

func (a *app) checkCommand() *ffcli.Command {
	flags := newFlagSet("check")
	format := choiceFlag(flags, "format", "how the complaints are written", []string{"text", "json", "github"})
	strict := flags.Bool("strict", false, "take warnings for errors")
	fix := flags.Bool("fix", false, "mend in the files what is sure to be meant, and report what was mended and what is left")
	diff := flags.Bool("diff", false, "with --fix: print what would change, and write nothing")
	root := rootFlag(flags)
	readConfig := a.envFileFlag(flags)
	return &ffcli.Command{
		Name:       "check",
		ShortUsage: "perago check FILE|DIR... [flags]",
		ShortHelp:  "Find what is wrong with task files, without running them.",
		LongHelp: `Parses, resolves and loads every file, checks its declaration, makes its TaskDef
and looks for what lint warns of. All complaints of all files are reported, and
whatever is wrong with the configuration. Needs no server, and writes nothing
but with --fix: then each file that is named, or below a folder that is named,
is replaced in one step by one without what can be mended for sure.
A test file, *_test.star, is loaded, not run; a file that neither calls task nor
defines run is checked as a library. Of a folder, every .star file is checked.`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return usageError("", "check wants at least one task file")
			}
			if *diff && !*fix {
				return usageError("", "--diff goes with --fix")
			}
			files, err := checkable(args)
			if err != nil {
				return err
			}
			var texts fixes
			if *fix {
				if texts, err = fixFiles(ctx, files, *root, *diff); err != nil {
					return err
				}
			}
			checked := a.check(ctx, files, *root, texts.texts())
			checked.Fixed, checked.dry = texts, *diff
			if *strict {
				checked.strict()
			}
			if err := a.printChecked(checked, *format); err != nil {
				return err
			}
			_, err = readConfig()
			if err != nil && checked.invalid() {
				a.report(err)
			}
			if checked.invalid() {
				return told(exitInvalid)
			}
			return err
		}),
	}
}

// checkable replaces the folders of args by the .star files below them. What is
// not there stays, for its complaint.
func checkable(args []string) (files []string, err error) {
	for _, arg := range args {
		if info, err := os.Stat(arg); err != nil || !info.IsDir() {
			files = append(files, arg)
			continue
		}
		below, err := starFiles([]string{arg})
		if err != nil {
			return nil, err
		}
		if len(below) == 0 {
			return nil, &failure{exitInvalid, fmt.Errorf("there is no .star file below %s", arg), "name a task file, or a folder that holds some"}
		}
		files = append(files, below...)
	}
	return files, nil
}

// checked is what `check` found in some files.
type checked struct {
	Tasks       []checkedTask `json:"tasks"`
	Diagnostics diag.List     `json:"diagnostics"`
	Fixed       fixes         `json:"fixed,omitempty"` // with --fix: what was mended
	dry         bool          // and only shown
	libraries   []string      // files that declare no task and are right
}

type checkedTask struct {
	File string `json:"file"`
	Name string `json:"name"`
}

// invalid: at least one complaint is more than a warning.
func (c checked) invalid() bool { return hasErrors(c.Diagnostics) }

// strict makes errors of all warnings.
func (c *checked) strict() {
	bad := map[string]bool{}
	for _, d := range c.Diagnostics {
		d.Severity = diag.Error
		bad[d.File] = true
	}
	c.Tasks = slices.DeleteFunc(c.Tasks, func(t checkedTask) bool { return bad[t.File] })
	c.libraries = slices.DeleteFunc(c.libraries, func(file string) bool { return bad[file] })
}

func hasErrors(list diag.List) bool {
	for _, d := range list {
		if d.Severity == diag.Error {
			return true
		}
	}
	return false
}

// check looks at files; texts stand for what some of them hold.
func (a *app) check(ctx context.Context, files []string, root string, texts map[string][]byte) checked {
	c := checked{Tasks: []checkedTask{}, Diagnostics: diag.List{}}
	for _, file := range files {
		if ctx.Err() != nil {
			break
		}
		m, list := checkFile(file, &module.Options{Root: root, Texts: texts})
		if m != nil && !hasErrors(list) {
			list = append(list, checkQueries(ctx, m)...)
		}
		c.add(list)
		switch {
		case m == nil || hasErrors(list) || strings.HasSuffix(file, tasktest.Suffix):
		case m.Task == nil:
			c.libraries = append(c.libraries, file)
		default:
			c.Tasks = append(c.Tasks, checkedTask{file, m.Task.Name})
		}
	}
	return c
}

// add takes complaints that were not there before: a library is looked at with
// each file that loads it.
func (c *checked) add(list diag.List) {
	for _, d := range list {
		same := func(other *diag.Diagnostic) bool {
			return d.Code == other.Code && d.File == other.File && d.Line == other.Line && d.Column == other.Column && d.Message == other.Message
		}
		if d.Line == 0 || !slices.ContainsFunc(c.Diagnostics, same) {
			c.Diagnostics = append(c.Diagnostics, d)
		}
	}
}

// checkFile loads one file, makes its TaskDef and lints it.
func checkFile(file string, o *module.Options) (*module.Module, diag.List) {
	if strings.HasSuffix(file, tasktest.Suffix) {
		m, _, list := module.LoadTest(file, o)
		if m != nil {
			list = append(list, module.Lint(m, tasktest.Rows()...)...)
		}
		return m, list
	}
	m, list := module.LoadAny(file, o)
	if m == nil || hasErrors(list) {
		return nil, list
	}
	if m.Task == nil {
		return m, append(list, module.Lint(m)...)
	}
	if _, err := module.TaskDef(m.Task); err != nil {
		list = append(list, m.Diagnose(err)...)
	}
	return m, append(list, module.Lint(m)...)
}

// printChecked writes the tasks and complaints in the wanted form: text
// complaints go to stderr, the others are results.
func (a *app) printChecked(c checked, format string) error {
	switch format {
	case "json":
		return writeJSON(a.stdout, c)
	case "text":
		if err := c.Fixed.print(a, c.dry); err != nil {
			return err
		}
	case "github":
		return diag.WriteGitHub(a.stdout, c.Diagnostics)
	}
	diag.WriteText(a.stderr, c.Diagnostics, a.textOptions())
	mendable := 0
	for _, d := range c.Diagnostics {
		if len(d.Fix) > 0 {
			mendable++
		}
	}
	if mendable > 0 && c.Fixed == nil {
		fmt.Fprintf(a.stderr, "`perago check --fix` mends %d of these\n", mendable)
	}
	for _, t := range c.Tasks {
		fmt.Fprintf(a.stdout, "ok: %s  %s\n", t.Name, diag.Printable(t.File))
	}
	for _, file := range c.libraries {
		fmt.Fprintf(a.stdout, "ok: a library  %s\n", diag.Printable(file))
	}
	return nil
}

func (a *app) explainCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "explain",
		ShortUsage: "perago explain CODE",
		ShortHelp:  "Tell the longer story of an error code, with an example.",
		FlagSet:    newFlagSet("explain"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) != 1 {
				return usageError("", "explain wants one code, such as P2103")
			}
			code := strings.ToUpper(args[0])
			if code != "" && strings.Trim(code, "0123456789") == "" {
				code = "P" + code
			}
			return a.explain(code)
		},
	}
}

func (a *app) explain(code string) error {
	story, ok := diag.Explain(diag.Code(code))
	if !ok {
		return usageError("codes stand in every complaint: `error P2103: …`", "no such code: %s", diag.Shorten(code))
	}
	_, err := fmt.Fprint(a.stdout, story)
	return err
}

// checkQueries has an engine look at the queries that a module has written out,
// and holds them against the tables and arguments of their calls.
func checkQueries(ctx context.Context, m *module.Module) diag.List {
	queries := module.Queries(m)
	if len(queries) == 0 {
		return nil
	}
	if !isolate.HasTables() {
		d := at(queries[0].Call, &diag.Diagnostic{Code: "P5029", Severity: diag.Warning, Message: "this perago was built without tables: sql fails when it runs",
			Hint: "build it with cgo (CGO_ENABLED=1 and a C compiler)"})
		return m.Locate(diag.List{d})
	}
	texts := make([]string, len(queries))
	for i, q := range queries {
		texts[i] = q.Text
	}
	parsed, err := isolate.ParseQueries(ctx, texts)
	if err != nil {
		d := at(queries[0].Call, &diag.Diagnostic{Code: "P4185", Severity: diag.Warning, Message: "the queries could not be looked at: " + diag.Shorten(err.Error())})
		return m.Locate(diag.List{d})
	}
	var list diag.List
	for i, q := range queries {
		list = append(list, checkQuery(q, parsed[i])...)
	}
	return m.Locate(list)
}

// at gives a diagnostic its place.
func at(pos syntax.Position, d *diag.Diagnostic) *diag.Diagnostic {
	d.File, d.Line, d.Column = pos.Filename(), int(pos.Line), int(pos.Col)
	return d
}

// checkQuery holds one query against its call.
func checkQuery(q lint.Query, p statement.Parsed) (list diag.List) {
	wrong := func(code diag.Code, severity diag.Severity, pos syntax.Position, message, hint string) {
		list = append(list, at(pos, &diag.Diagnostic{Code: code, Severity: severity, Message: "sql: " + message, Hint: hint}))
	}
	near := func(name string, names []string) string { return diag.DidYouMean(name, names, diag.Backquote) }
	if f := p.Failure; f != nil {
		wrong("P4181", diag.Error, q.Position(f.Offset), f.Message, f.Hint)
		return list
	}
	for _, t := range p.Tables {
		given := slices.ContainsFunc(q.Tables, func(name string) bool { return strings.EqualFold(name, t.Name) })
		if !given && !q.Open && !p.Unsure {
			wrong("P4182", diag.Error, q.Position(t.Offset), "the query reads `"+diag.Shorten(t.Name)+"`, and no table of that name is given", near(t.Name, q.Tables))
		}
	}
	for _, name := range q.Tables {
		if named := statement.Mentions(q.Text, []string{name}); !named[name] {
			var read []string
			for _, t := range p.Tables {
				read = append(read, t.Name)
			}
			wrong("P5028", diag.Warning, q.Call, "the query does not name the table `"+name+"`", near(name, read))
		}
	}
	for _, name := range p.Parameters {
		if !q.Free && !slices.Contains(q.Args, name) {
			offset := strings.Index(q.Text, "$"+name)
			wrong("P4182", diag.Error, q.Position(offset), "the query has $"+diag.Shorten(name)+", and args has no such key", near(name, q.Args))
		}
	}
	return list
}
