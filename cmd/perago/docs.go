package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
	"perago/workspace"
)

func (a *app) docsCommand() *ffcli.Command {
	flags := newFlagSet("docs")
	builtins := flags.Bool("builtins", false, "the reference of the language instead: everything a task file can call")
	root := rootFlag(flags)
	return &ffcli.Command{
		Name:       "docs",
		ShortUsage: "perago docs FILE...|NAME... [flags]",
		ShortHelp:  "Print the reference page of a task, or of a name of the language, in Markdown.",
		LongHelp: "Parameters, result, workspace with its guards, and controls, as the file declares\nthem. Of a name such as csv.write, glob, stats or path, what the reference says of it.\n" +
			"`perago docs --builtins` is the whole reference of the language.",
		FlagSet: flags,
		Exec: a.interruptible(func(_ context.Context, args []string) error {
			switch {
			case *builtins && len(args) > 0:
				return usageError("", "--builtins takes no file")
			case *builtins:
				_, err := a.stdout.Write([]byte(starlib.Markdown()))
				return err
			case len(args) == 0:
				return usageError("", "docs wants at least one task file, or --builtins")
			}
			if !isFile(args[0]) {
				return a.entries(args)
			}
			return a.docs(args, *root)
		}),
	}
}

// isFile says whether an argument means a file rather than a name of the language.
func isFile(arg string) bool {
	if strings.HasSuffix(arg, ".star") || strings.ContainsAny(arg, `/\`) {
		return true
	}
	_, err := os.Stat(arg)
	return err == nil
}

// entries prints what the reference says of some names.
func (a *app) entries(names []string) error {
	var pages []string
	for _, name := range names {
		text, near := starlib.Entries(name)
		if text == "" {
			hint := "`perago docs --builtins` lists all names; a task file ends in .star"
			if near != "" {
				hint = "did you mean `" + near + "`?"
			}
			return &failure{exitUsage, fmt.Errorf("docs: the language has no `%s`", name), hint}
		}
		pages = append(pages, text)
	}
	_, err := io.WriteString(a.stdout, strings.Join(pages, "\n"))
	return err
}

func (a *app) docs(files []string, root string) error {
	var pages bytes.Buffer
	var complaints diag.List
	for i, file := range taskFiles(files) {
		m, list := loadOne(file, root)
		if m == nil {
			complaints = append(complaints, list...)
			continue
		}
		if i > 0 {
			pages.WriteString("\n")
		}
		taskPage(&pages, m)
	}
	if len(complaints) > 0 {
		return complaints
	}
	_, err := a.stdout.Write(pages.Bytes())
	return err
}

// taskPage writes the reference page of a task as Markdown.
func taskPage(w io.Writer, m *module.Module) {
	t := m.Task
	fmt.Fprintf(w, "# %s\n", t.Name)
	paragraph := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			fmt.Fprintf(w, "\n%s\n", s)
		}
	}
	paragraph(t.Description)
	if doc := m.Doc(); strings.TrimSpace(doc) != strings.TrimSpace(t.Description) {
		paragraph(doc)
	}
	owner := ""
	if t.OwnerEmail != "" {
		owner = " Owner: " + t.OwnerEmail + "."
	}
	paragraph(fmt.Sprintf("Declared in `%s`.%s", m.File, owner))

	fmt.Fprint(w, "\n## Parameters\n")
	schemaTable(w, t.Params, true)
	if t.StrictParams {
		paragraph("Unknown parameters are refused.")
	} else {
		paragraph("Unknown parameters are dropped.")
	}
	fmt.Fprint(w, "\n## Result\n")
	if t.Result == nil {
		paragraph("Any JSON object.")
	} else {
		schemaTable(w, t.Result, false)
	}
	if t.Workspace != nil {
		workspaceSection(w, t.Workspace)
	}
	controlsSection(w, t)
}

// schemaTable lists the fields of a schema, those of nested objects below them.
func schemaTable(w io.Writer, s *schema.Schema, withDefaults bool) {
	if s == nil || len(s.Fields) == 0 {
		fmt.Fprint(w, "\nNone.\n")
		return
	}
	fmt.Fprint(w, "\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n")
	var rows func(prefix string, s *schema.Schema)
	rows = func(prefix string, s *schema.Schema) {
		for _, f := range s.Fields {
			fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", prefix+f.Name, fieldCell(f), defaultCell(f, withDefaults), cell(f.Description))
			if inner, suffix := nested(f); inner != nil {
				rows(prefix+f.Name+suffix+".", inner)
			}
		}
	}
	rows("", s)
}

// nested is the schema inside a field, and how a path goes through it.
func nested(f *schema.Field) (inner *schema.Schema, suffix string) {
	for t := f.Type; t != nil; {
		switch {
		case t.Kind == schema.KindSchema:
			return t.Object, suffix
		case t.Elem == nil:
			return nil, ""
		case t.Kind == schema.KindList:
			suffix += "[]"
		case t.Kind == schema.KindMap:
			suffix += ".*"
		}
		t = t.Elem.Type
	}
	return nil, ""
}

// fieldCell is a field's type as it would be written; objects have rows of their own.
func fieldCell(f *schema.Field) string {
	text := typeText(f.Type)
	for _, c := range f.Constraints.Words() {
		text += ", " + c.Name + " " + c.Value
	}
	if f.Secret {
		text += ", secret"
	}
	return "`" + cell(text) + "`"
}

func typeText(t *schema.Type) string {
	switch {
	case t.Kind == schema.KindSchema:
		return "object"
	case t.Elem == nil:
		return t.String()
	case t.Kind == schema.KindList:
		return "list_of(" + typeText(t.Elem.Type) + ")"
	case t.Kind == schema.KindMap:
		return "map_of(" + typeText(t.Elem.Type) + ")"
	case t.Kind == schema.KindOptional:
		return "optional(" + typeText(t.Elem.Type) + ")"
	}
	return t.String()
}

func defaultCell(f *schema.Field, withDefaults bool) string {
	switch {
	case f.Default == nil:
		return "required"
	case f.Secret || !withDefaults:
		return ""
	}
	return "`" + cell(diag.Shorten(string(f.Default))) + "`"
}

// cell makes text fit into a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(strings.TrimSpace(s))
}

func workspaceSection(w io.Writer, spec *workspace.Spec) {
	fmt.Fprintf(w, "\n## Workspace\n\n")
	folder := "the whole repository"
	if spec.Prefix != "" {
		folder = "the folder `" + spec.Prefix + "` of the repository"
	}
	access := "What it writes is published as one commit."
	if spec.ReadOnly {
		access = "It is read-only: nothing is published."
	}
	fmt.Fprintf(w, "The task sees %s. %s\n", folder, access)
	guards := func(when string, list []workspace.Guard) {
		if len(list) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s the body:\n\n", when)
		for _, g := range list {
			fmt.Fprintf(w, "- `%s`\n", g)
		}
	}
	guards("Before", spec.Pre)
	guards("After", spec.Post)
}

func controlsSection(w io.Writer, t *starlib.Task) {
	r, to, l := t.Controls.Retry, t.Controls.Timeout, t.Controls.Limits
	fmt.Fprint(w, "\n## Controls\n\n")
	fmt.Fprintf(w, "- Retry: %d times, %s, delay %d s", r.Count, r.Logic, r.DelaySeconds)
	if r.MaxDelaySeconds > 0 {
		fmt.Fprintf(w, ", at most %d s", r.MaxDelaySeconds)
	}
	if r.On == "transient" {
		fmt.Fprint(w, ", only of what another attempt may not meet")
	}
	fmt.Fprintf(w, ".\n- Timeout: %s; response %d s, task %s, poll %s, all attempts %s.\n", to.Policy, to.ResponseSeconds,
		secondsOrNone(to.Seconds), secondsOrNone(to.PollSeconds), secondsOrNone(to.TotalSeconds))
	if l.ConcurrentExecLimit != nil {
		fmt.Fprintf(w, "- At most %d at once.\n", *l.ConcurrentExecLimit)
	}
	if l.RateLimitPerFrequency != nil && l.RateLimitFrequencyInSeconds != nil {
		fmt.Fprintf(w, "- At most %d every %d s.\n", *l.RateLimitPerFrequency, *l.RateLimitFrequencyInSeconds)
	}
	res := t.Resources
	memory, steps := "no limit of memory", "no limit of steps"
	if res.Memory > 0 {
		memory = shortSize(res.Memory) + " of memory"
	}
	if res.Steps > 0 {
		steps = fmt.Sprintf("%d steps", res.Steps)
	}
	fmt.Fprintf(w, "- The body: %s, %s of time, %s.\n", memory, secondsOrNone(res.Seconds), steps)
}

func secondsOrNone(n int) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%d s", n)
}
