package starlib

// task(...): what one file declares, and who collects it.

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Declaration collects what the top level of one file declares.
type Declaration struct {
	Task   *Task // nil until task(...) was called
	Loaded bool  // the file is there for load(...): task(...) is refused
}

const declarationKey = "perago.declaration"

// Attach binds d to the thread that will run the top level. It must be called
// before the thread runs.
func (d *Declaration) Attach(thread *starlark.Thread) { thread.SetLocal(declarationKey, d) }

func makeTask(c *call) (starlark.Value, error) {
	d, _ := c.thread.Local(declarationKey).(*Declaration)
	switch {
	case d == nil || d.Loaded:
		return nil, &diag.Problem{Code: "P2105", Message: "task: a file that is loaded must not declare a task",
			Hint: "move the task into a file of its own, and load what both need"}
	case d.Task != nil:
		return nil, &diag.Problem{Code: "P2104", Message: "task: the file declares a second task",
			Found: fmt.Sprintf("`%s`, declared at line %d already", shorten(d.Task.Name), d.Task.At.Line), Wanted: "one task a file"}
	}
	t := &Task{At: callerPosition(c.thread)}
	for _, read := range []func(*call, *Task) error{taskNames, taskSchemas, taskControls} {
		if err := read(c, t); err != nil {
			return nil, err
		}
	}
	d.Task = t
	return starlark.None, nil
}

func taskNames(c *call, t *Task) (err error) {
	if t.Name, err = c.text("name", ""); err != nil {
		return err
	}
	if wanted := unfitTaskName(t.Name); wanted != "" {
		return &diag.Problem{Code: "P2102", Message: "task: `name` cannot be the name of a task", Found: quoted(t.Name), Wanted: wanted, Argument: "name"}
	}
	if t.Description, err = c.words("description"); err != nil {
		return err
	}
	if t.OwnerEmail, err = c.words("owner_email"); err != nil || t.OwnerEmail == "" && c.absent("owner_email") {
		return err
	}
	local, domain, _ := strings.Cut(t.OwnerEmail, "@")
	if local == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsFunc(t.OwnerEmail, unicode.IsSpace) {
		return &diag.Problem{Code: "P2103", Message: "task: `owner_email` is not an e-mail address", Found: quoted(t.OwnerEmail),
			Wanted: "one @ with something on both sides, no spaces", Argument: "owner_email"}
	}
	return nil
}

// maxTaskName bounds the name of a task, in bytes.
const maxTaskName = 255

// unfitTaskName says what is wanted of a name that is no good, else "".
func unfitTaskName(name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "a name"
	case strings.TrimSpace(name) != name:
		return "no space at the start or end"
	case strings.ContainsAny(name, `/\`):
		return `no / and no \`
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "no control characters"
	case len(name) > maxTaskName:
		return fmt.Sprintf("at most %d bytes", maxTaskName)
	}
	return ""
}

func taskSchemas(c *call, t *Task) (err error) {
	if t.Params, err = schemaArg(c, "params"); err != nil {
		return err
	}
	if t.Params == nil {
		if t.Params, err = newSchema(nil); err != nil {
			return err
		}
	}
	if t.Result, err = schemaArg(c, "result"); err != nil {
		return err
	}
	t.StrictParams, err = c.boolean("strict_params", false)
	return err
}

func schemaArg(c *call, name string) (*Schema, error) {
	s, _, err := declaredArg[*Schema](c, name)
	if p, ok := err.(*diag.Problem); ok {
		switch c.arg(name).(type) {
		case *starlark.Dict:
			p.Hint = "write schema(name = type, ...)"
		default:
			p.Hint = fmt.Sprintf("the %s are always an object: write schema(name = type, ...)", name)
			if name == "result" {
				p.Hint = "the result is always an object: write schema(name = type, ...)"
			}
		}
	}
	return s, err
}

func taskControls(c *call, t *Task) (err error) {
	spec, given, err := declaredArg[*placedSpec](c, "workspace")
	if err != nil {
		return err
	}
	if given {
		t.Workspace, t.PreAt, t.PostAt = &spec.Spec, spec.preAt, spec.postAt
	}
	controls, given, err := declaredArg[Controls](c, "controls")
	if err != nil {
		return err
	}
	if !given {
		controls = defaultControls()
	}
	t.Controls = controls
	if controls.PublishBudget != nil && t.Workspace == nil {
		return &diag.Problem{Code: "P2123", Message: "task: a publish_budget without a workspace", Argument: "controls",
			Hint: "a task without `workspace` publishes nothing: take publish_budget away, or add workspace = workspace_spec(...)"}
	}
	resources, given, err := declaredArg[Resources](c, "resources")
	if !given {
		resources = defaultResources()
	}
	t.Resources = resources
	return err
}

// absent says whether an argument was left out; None is the same.
func (c *call) absent(name string) bool {
	v := c.arg(name)
	return v == nil || v == starlark.None
}

// words is a string argument that may be left out.
func (c *call) words(name string) (string, error) {
	if c.absent(name) {
		return "", nil
	}
	s, err := c.text(name, "")
	if err == nil && !utf8.ValidString(s) {
		return "", c.refuse(name, "a string that is not UTF-8", "text")
	}
	return s, err
}

// declaredArg is an argument that another declaration makes.
func declaredArg[T any](c *call, name string) (value T, given bool, err error) {
	if c.absent(name) {
		return value, false, nil
	}
	d, ok := c.arg(name).(*declared[T])
	if !ok {
		p := c.wrongType(name, c.arg(name))
		p.Hint = "write " + p.Wanted + "(...)"
		return value, false, p
	}
	return d.value, true, nil
}
