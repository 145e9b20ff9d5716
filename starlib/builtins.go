// Package starlib is what the author of a task file can see: the declarations,
// the file API and the library. It does no I/O but through the Files it is
// handed.
//
// Every builtin is a row of one table (builtins.go). The binding of arguments,
// `perago docs --builtins`, completion and the golden file of the API are made from
// the table, so the documentation cannot differ from what is bound.
package starlib

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// Phase says when a builtin may be called.
type Phase string

const (
	Declare Phase = "load" // at the top level only: task, schema, controls, …
	Pure    Phase = "any"  // no effects: at the top level and in the body
	Act     Phase = "body" // refuses to act until the body runs
)

// Builtin is one row of the table.
type Builtin struct {
	Name     string // as it is written: "task", "csv.dict_reader"; a method as "path.read_text"
	Phase    Phase
	Method   bool // of a value, not of a module: what stands before the last dot is the type of the value
	Property bool // read without a call: "path.name", "math.pi"
	Params   []Param
	Returns  string // type, in the words of the docs: "list of path"
	Doc      string // one paragraph; errors and units included
	Example  string // optional, Starlark

	// call does the work; a Property's gets no more than the receiver. nil: the
	// row describes what the interpreter itself brings, such as len.
	call func(*call) (starlark.Value, error)
	host HostFunc // of a HostBuiltin, else nil
}

// pure are rows that may be called at the top level and in the body.
func pure(rows []Builtin) []Builtin {
	for i := range rows {
		rows[i].Phase = Pure
	}
	return rows
}

// Param is one parameter of a Builtin.
type Param struct {
	Name    string
	Type    string // in the words of the docs: "string", "int", "list of guard"
	Default string // as it would be written; "" is required, unless Kind says otherwise
	Kind    Kind
	Doc     string
}

// Kind says how a parameter is given.
type Kind int

const (
	Either      Kind = iota // by position or by keyword
	KeywordOnly             // after all positional ones
	Positional              // never by keyword
	Rest                    // *args
	KeywordRest             // **kwargs
)

// call is one call of a Builtin, its arguments bound.
type call struct {
	thread  *starlark.Thread
	builtin *Builtin
	recv    starlark.Value   // the receiver of a method, else nil
	args    []starlark.Value // by the index in Params; nil is not given
	given   int              // how many of them were given by position
	rest    starlark.Tuple
	kwrest  []starlark.Tuple
	run     *Run // nil at load time
}

// arg returns the value given for a parameter, nil when it was left out.
func (c *call) arg(name string) starlark.Value {
	for i, p := range c.builtin.Params {
		if p.Name == name {
			return c.args[i]
		}
	}
	panic("starlib: " + c.builtin.Name + " has no parameter " + name)
}

// value makes the Starlark function of a row; recv is nil for a plain function.
func (b *Builtin) value(recv starlark.Value) *starlark.Builtin {
	return starlark.NewBuiltin(b.Name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		c := &call{thread: thread, builtin: b, recv: recv, run: runOf(thread)}
		if err := c.admit(); err != nil {
			return nil, err
		}
		if err := c.bind(args, kwargs); err != nil {
			return nil, err
		}
		return b.call(c)
	})
}

// admit refuses a call in the wrong phase, and reports every other one to Run.Enter.
func (c *call) admit() error {
	switch {
	case c.run == nil && c.builtin.Phase == Act:
		return &diag.Problem{Code: "P2002", Message: c.builtin.Name + " acts, so it can be called only in the body",
			Hint: "move the call into `def run`; the top level only declares"}
	case c.run != nil && c.builtin.Phase == Declare:
		return &diag.Problem{Code: "P2003", Message: c.builtin.Name + " declares, so it can be called only at the top level",
			Hint: "move the call out of `def run`"}
	}
	if c.run == nil {
		return nil
	}
	if err := c.run.cancelled(); err != nil {
		return err
	}
	if c.run.Enter != nil {
		c.run.Enter(c.builtin.Name, callerPosition(c.thread))
	}
	return nil
}

// callerPosition is where the builtin that now runs was called.
func callerPosition(thread *starlark.Thread) Position {
	if thread.CallStackDepth() < 2 {
		return Position{}
	}
	pos := thread.CallFrame(1).Pos
	return Position{File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)}
}

// bind assigns the arguments of a call to the parameters of its row.
func (c *call) bind(args starlark.Tuple, kwargs []starlark.Tuple) error {
	params := c.builtin.Params
	c.args = make([]starlark.Value, len(params))
	next := 0
	for i, a := range args {
		for next < len(params) && (params[next].Kind == KeywordOnly || params[next].Kind == KeywordRest) {
			next = len(params)
		}
		if next == len(params) {
			return c.tooMany(len(args))
		}
		if params[next].Kind == Rest {
			c.rest = args[i:]
			break
		}
		c.args[next] = a
		next++
		c.given = next
	}
	for _, kw := range kwargs {
		if err := c.bindKeyword(string(kw[0].(starlark.String)), kw, kwargs); err != nil {
			return err
		}
	}
	if name, found := repeatedKeyword(c.kwrest); found {
		return c.twice(name)
	}
	for i, p := range params {
		if c.args[i] == nil && p.Default == "" && p.Kind != Rest && p.Kind != KeywordRest {
			return &diag.Problem{Code: "P2005", Message: fmt.Sprintf("%s: missing argument `%s`", c.builtin.Name, p.Name),
				Wanted: p.Type, Hint: c.builtin.Usage(len(args)+len(kwargs) == 0)}
		}
	}
	return nil
}

func (c *call) bindKeyword(name string, kw starlark.Tuple, all []starlark.Tuple) error {
	params := c.builtin.Params
	i := slices.IndexFunc(params, func(p Param) bool {
		return p.Name == name && (p.Kind == Either || p.Kind == KeywordOnly)
	})
	switch {
	case i >= 0 && c.args[i] != nil:
		return c.twice(name)
	case i >= 0:
		c.args[i] = kw[1]
		return nil
	case len(params) > 0 && params[len(params)-1].Kind == KeywordRest:
		c.kwrest = append(c.kwrest, kw)
		return nil
	}
	p := &diag.Problem{Code: "P2004", Message: fmt.Sprintf("%s has no argument `%s`", c.builtin.Name, name), Argument: name}
	var names []string
	for _, q := range params {
		if q.Kind == Either || q.Kind == KeywordOnly {
			names = append(names, q.Name)
		}
	}
	if near := diag.Nearest(name, names); near != "" {
		p.Hint = fmt.Sprintf("did you mean `%s`?", near)
	} else if len(names) > 0 {
		p.Wanted = "one of " + strings.Join(names, ", ")
	}
	given := func(name string) bool {
		return slices.ContainsFunc(all, func(kw starlark.Tuple) bool { return kw[0] == starlark.String(name) })
	}
	if certain := diag.Certain(name, names); certain != "" && !given(certain) {
		p.Instead = certain
	}
	return p
}

func (c *call) twice(name string) error {
	return &diag.Problem{Code: "P2006", Message: fmt.Sprintf("%s: argument `%s` is given twice", c.builtin.Name, diag.Shorten(name)), Argument: name}
}

// repeatedKeyword is the first keyword that is given twice. The parser finds those
// that are written twice; a dict behind `**` may bring others.
func repeatedKeyword(kwargs []starlark.Tuple) (name string, found bool) {
	if len(kwargs) < 2 {
		return "", false
	}
	names := make([]string, len(kwargs))
	for i, kw := range kwargs {
		names[i] = string(kw[0].(starlark.String))
	}
	return repeatedName(names)
}

func (c *call) tooMany(got int) error {
	most := 0
	for _, p := range c.builtin.Params {
		if p.Kind == Either || p.Kind == Positional {
			most++
		}
	}
	wanted := fmt.Sprintf("at most %d", most)
	if most == 0 {
		wanted = "keywords only"
	}
	return &diag.Problem{Code: "P2007", Message: c.builtin.Name + ": too many positional arguments",
		Found: fmt.Sprint(got), Wanted: wanted, Hint: "write " + c.builtin.Signature()}
}

// Usage is what to write instead of a call that lacks an argument; empty is one
// without any.
func (b *Builtin) Usage(empty bool) string {
	if hint := InsteadOf(b.Name + "()"); empty && hint != "" {
		return hint
	}
	return "write " + b.Signature()
}

// NeedsEngine says whether a row works with an engine of statements only.
func (b *Builtin) NeedsEngine() bool {
	return b.Name == "sql" || b.Name == "table" || strings.HasPrefix(b.Name, "relation.")
}

// Signature is how the call of a row is written: `name(a, b = 1, *args)`; of a
// Property, its name.
func (b *Builtin) Signature() string {
	if b.Property {
		return b.Name
	}
	var parts []string
	starred := false
	for _, p := range b.Params {
		switch p.Kind {
		case Rest:
			starred = true
			parts = append(parts, "*"+p.Name)
			continue
		case KeywordRest:
			parts = append(parts, "**"+p.Name)
			continue
		case KeywordOnly:
			if !starred {
				starred = true
				parts = append(parts, "*")
			}
		}
		if p.Default == "" {
			parts = append(parts, p.Name)
		} else {
			parts = append(parts, p.Name+" = "+p.Default)
		}
	}
	return b.Name + "(" + strings.Join(parts, ", ") + ")"
}

// Table is every builtin of the language, declarations included, in the order
// of the reference: what stands alone, then the modules, then the values, then
// what the program that embeds perago adds (HostBuiltin).
func Table(host ...Builtin) []Builtin {
	return slices.Concat(
		declarationBuiltins(),
		universeBuiltins(),
		numberBuiltins(),
		groupingBuiltins(),
		buildingBuiltins(),
		outcomeBuiltins(),
		logBuiltins(),
		jsonBuiltins(),
		settingsBuiltins(),
		archiveBuiltins(),
		jsonschemaBuiltins(),
		csvBuiltins(),
		tableBuiltins(),
		reBuiltins(),
		hashBuiltins(),
		base64Builtins(),
		mathBuiltins(),
		moreMathBuiltins(),
		statsBuiltins(),
		randomBuiltins(),
		textBuiltins(),
		timeBuiltins(),
		pathBuiltins(),
		fileBuiltins(),
		relationBuiltins(),
		patternBuiltins(),
		matchBuiltins(),
		valueMethods(),
		instantBuiltins(),
		durationBuiltins(),
		generatorMethods(),
		host,
	)
}

// raiseCompareLimit lets == work on whatever json.decode gives back; the
// interpreter's own bound of 10 is below ordinary JSON. The bound is a variable
// of the interpreter, which it reads at every comparison. The one write is safe
// because every script's names come from Predeclared: it happens before any
// script of this program can compare, and Once lets it happen no second time.
var raiseCompareLimit = sync.OnceFunc(func() { starlark.CompareLimit = jsontext.MaxDepth + 1 })

// Predeclared is what a task file can name without defining it, beyond what the
// interpreter brings. The map and the modules in it are fresh at each call, so
// nothing is shared between two modules. host are rows of HostBuiltin.
func Predeclared(host ...Builtin) starlark.StringDict {
	raiseCompareLimit()
	names := make(starlark.StringDict)
	table := Table(host...)
	for i := range table {
		row := &table[i]
		if row.Method || row.call == nil {
			continue
		}
		dict, name := names, row.Name
		if mod, member, ok := strings.Cut(row.Name, "."); ok {
			if names[mod] == nil {
				names[mod] = &module{name: mod, members: make(starlark.StringDict)}
			}
			dict, name = names[mod].(*module).members, member
		}
		dict[name] = row.bound()
	}
	return names
}

// bound is the value of a row that is no method.
func (b *Builtin) bound() starlark.Value {
	if !b.Property {
		return b.value(nil)
	}
	v, err := b.call(&call{builtin: b})
	if err != nil { // a constant has no way to fail
		panic("starlib: " + b.Name + ": " + err.Error())
	}
	return v
}

// module is a name with members: json, csv, re, …
type module struct {
	name    string
	members starlark.StringDict
}

var _ starlark.HasAttrs = (*module)(nil)

func (m *module) String() string        { return "<module " + m.name + ">" }
func (m *module) Type() string          { return "module" }
func (m *module) Freeze()               { m.members.Freeze() }
func (m *module) Truth() starlark.Bool  { return true }
func (m *module) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: module") }
func (m *module) AttrNames() []string   { return m.members.Keys() }

func (m *module) Attr(name string) (starlark.Value, error) {
	if v, ok := m.members[name]; ok {
		return v, nil
	}
	return nil, unknownMember("module `"+m.name+"`", m.name+".", name, m.members.Keys())
}

// unknownMember complains that thing has no member of that name. prefix is what
// stands before a member where it is used.
func unknownMember(thing, prefix, name string, known []string) error {
	p := &diag.Problem{Code: codeAttribute, Message: fmt.Sprintf("%s has no member `%s`", thing, name)}
	if hint := InsteadOf(prefix + name); hint != "" {
		p.Hint = hint
	} else if near := diag.Nearest(name, known); near != "" {
		p.Hint = fmt.Sprintf("did you mean `%s%s`?", prefix, near)
	} else {
		slices.Sort(known)
		p.Wanted = "one of " + strings.Join(known, ", ")
	}
	return p
}

// RenameOf is the member that does the same under another name, such as "decode"
// for "json.loads"; "" when there is none.
func RenameOf(member string) string {
	switch member {
	case "json.loads", "base64.b64decode", "base64.standard_b64decode":
		return "decode"
	case "json.dumps", "base64.b64encode", "base64.standard_b64encode":
		return "encode"
	case "csv.DictReader":
		return "dict_reader"
	case "log.warn":
		return "warning"
	case "yaml.safe_load", "toml.loads":
		return "decode"
	case "time.time.isocalendar":
		return "iso_calendar"
	case "time.time.strftime":
		return "format"
	}
	return ""
}

// InsteadOf is what to write in place of a member that Python has, or that a
// Pythonista expects, and this library does not, such as "json.loads"; "" when
// nothing is known.
func InsteadOf(member string) string {
	if draw, ok := strings.CutPrefix(member, "random."); ok && slices.Contains([]string{"random", "randint", "choice", "shuffle", "sample", "uniform", "seed"}, draw) {
		return "make a generator first, so that a second attempt draws the same: rng = random.seeded(params.seed), then rng." + draw + "(...)"
	}
	return diag.HintFor(member, [][2]string{
		{"yaml.safe_load yaml.load yaml.full_load", "write yaml.decode(path), or yaml.decode(text)"},
		{"yaml.dump yaml.safe_dump toml.dumps toml.dump", "write json.encode(value, indent = 2), which is YAML too"},
		{"toml.load toml.loads", "write toml.decode(path), or toml.decode(text)"},
		{"json.loads json.load", "write json.decode(text), or json.lines(path) for a file with one value a line"},
		{"json.dumps json.dump", "write json.encode(value)"},
		{"jsonschema.Draft202012Validator jsonschema.Draft7Validator jsonschema.iter_errors jsonschema.compile jsonschema.is_valid", "write jsonschema.errors(value, schema), a list that is empty when the value is valid"},
		{"csv.DictReader", "write csv.dict_reader(path)"},
		{"csv.writer csv.DictWriter", "write csv.write(path, rows, header = [...])"},
		{"re.X re.VERBOSE", "verbose patterns are not supported: write the pattern without white space and comments"},
		{"re.A re.ASCII re.U re.UNICODE", "leave it out: \\d, \\w and \\s are ASCII always; write \\pL or \\p{Greek} for classes of Unicode"},
		{"base64.b64encode base64.standard_b64encode", "write base64.encode(data)"},
		{"base64.b64decode base64.standard_b64decode", "write base64.decode(text)"},
		{"base64.urlsafe_b64encode", "write base64.encode(data, url = True)"},
		{"base64.urlsafe_b64decode", "write base64.decode(text, url = True)"},
		{"stats.std stats.pstdev", "write stats.stdev(items), or stats.stdev(items, sample = False)"},
		{"stats.var stats.pvariance", "write stats.variance(items), or stats.variance(items, sample = False)"},
		{"stats.percentile stats.quantiles", "write stats.quantile(items, 0.95)"},
		{"time.time()", "write time.now().unix for the seconds since 1970; time.time(2026, 3, 1) is that day"},
		{"time.perf_counter time.monotonic time.time_ns", "write time.now(): the difference of two is a duration"},
		{"time.strptime time.parse_time time.fromisoformat", `write time.parse(text), or time.parse(text, format = "%d/%m/%Y")`},
		{"time.parse_duration time.timedelta", `write time.duration("1h30m"), or 3 * time.day`},
		{"time.from_timestamp time.fromtimestamp", "write time.from_unix(seconds)"},
		{"time.datetime time.date", "write time.time(2026, 3, 1)"},
		{"time.strftime time.time.strftime time.time.isoformat", `write t.format("%Y-%m-%d"), or str(t) for ISO 8601`},
		{"time.time.isocalendar", "write t.iso_calendar()"},
		{"time.time.isoweekday", "write t.iso_weekday, without parentheses"},
		{"time.time.timestamp time.time.unix_nano", "write t.unix, and t.nanosecond for what is within the second"},
		{"time.time.astimezone time.time.in_location", `write t.in_zone("Europe/Paris")`},
		{"time.time.date time.time.floor time.time.round time.time.normalize", `write t.truncate("day")`},
		{"time.time.microsecond", "write t.nanosecond // 1000"},
		{"time.duration.total_seconds", "write d.seconds: all of it, with its fraction"},
		{"time.busday_count", "write time.business_days(start, end)"},
		{"time.busday_offset", "write t.add_business_days(n)"},
		{"time.sleep", "a body cannot wait: call fail(message), and Conductor runs the task again later"},
		{"log.warn", "write log.warning(message)"},
		{"path.symlink_to path.hardlink_to path.is_symlink", "there are no links in a workspace: write path.copy(target), which costs no download"},
		{"path.resolve path.absolute path.relative_to", "a path is relative to the workspace already: write str(path)"},
		{"path.touch", `write path.write_text("")`},
		{"path.rmtree path.rmdir", "write path.remove_tree()"},
		{"path.replace path.move", "write path.rename(target)"},
		{"path.with_suffix path.with_stem path.with_name", "write path.parent / (path.stem + \".new\")"},
		{"file.readlines", "loop over the file: `for line in f`"},
		{"file.flush", "nothing is visible before close(); leave it out"},
		{"file.seek file.tell file.truncate", "a file is read or written from front to back; open it again to start over"},
	})
}

// members are the methods and properties of one type of value.
type members struct {
	rows  map[string]*Builtin
	names []string // sorted
}

// membersOf is the rows by the name after the last dot.
func membersOf(rows []Builtin) members {
	m := members{rows: make(map[string]*Builtin, len(rows))}
	for i := range rows {
		name := rows[i].Name[strings.LastIndexByte(rows[i].Name, '.')+1:]
		m.rows[name] = &rows[i]
		m.names = append(m.names, name)
	}
	slices.Sort(m.names)
	return m
}

// attr is the value of recv.name.
func (m members) attr(recv starlark.Value, name string) (starlark.Value, error) {
	row, ok := m.rows[name]
	if !ok {
		return nil, unknownMember("a "+recv.Type(), recv.Type()+".", name, slices.Clone(m.names))
	}
	if row.Property {
		return row.call(&call{builtin: row, recv: recv})
	}
	return row.value(recv), nil
}

// Markdown is the reference of the language's builtins, rendered from the table.
// It holds every row: what it takes and gives, when it may be called, its
// errors, and an example where it helps. host are rows of HostBuiltin.
func Markdown(host ...Builtin) string {
	var b strings.Builder
	b.WriteString("# Builtins\n\nEvery name that a task file can use without defining it. This page is made from the table that binds them.\n")
	var contents, body strings.Builder
	for _, s := range sections(Table(host...)) {
		fmt.Fprintf(&contents, "- [%s](#%s)\n", s.title, anchor(s.title))
		fmt.Fprintf(&body, "\n## %s\n", s.title)
		for _, row := range s.rows {
			row.markdown(&body)
		}
	}
	const own = "Methods of the language's own values"
	fmt.Fprintf(&contents, "- [%s](#%s)\n", own, anchor(own))
	b.WriteString("\n" + contents.String() + body.String())
	b.WriteString("\n## " + own + "\n\nThose that are not explained above are those of [Starlark](" + starlarkSpec + ").\n\n| type | methods |\n| --- | --- |\n")
	for _, v := range ownValues() {
		fmt.Fprintf(&b, "| %s | `%s` |\n", v.Type(), strings.Join(methodNames(v), "`, `"))
	}
	return b.String()
}

// Entries are the parts of the reference about one name: "csv.write", "write_text",
// a module or a type such as "stats" or "path", with all that it has. "" when
// there is nothing of that name; near is then the nearest one, if any.
func Entries(name string) (text, near string) {
	var b strings.Builder
	var names []string
	table := Table()
	for i := range table {
		row := &table[i]
		last := row.Name[strings.LastIndexByte(row.Name, '.')+1:]
		owner := strings.TrimSuffix(strings.TrimSuffix(row.Name, last), ".")
		names = append(names, row.Name, last, owner)
		if row.Name == name || last == name || owner == name {
			row.markdown(&b)
		}
	}
	for _, v := range ownValues() {
		for _, method := range methodNames(v) {
			full := v.Type() + "." + method
			names = append(names, full, method)
			if name != method && strings.Replace(name, "str.", "string.", 1) != full || slices.ContainsFunc(table, func(row Builtin) bool { return row.Name == full }) {
				continue
			}
			fmt.Fprintf(&b, "\n### `%s`\n\nA method of a %s, [as in Starlark](%s#%s·%s).\n", full, v.Type(), starlarkSpec, v.Type(), method)
		}
	}
	if b.Len() > 0 {
		return strings.TrimPrefix(b.String(), "\n"), ""
	}
	return "", diag.Nearest(name, names)
}

// starlarkSpec explains what the language has from Starlark.
const starlarkSpec = "https://github.com/google/starlark-go/blob/master/doc/spec.md"

// ownValues are one value of each type that is Starlark's own and has methods.
func ownValues() []starlark.HasAttrs {
	return []starlark.HasAttrs{starlark.String(""), starlark.Bytes(""), new(starlark.List), new(starlark.Dict), new(starlark.Set)}
}

// section is what has one heading.
type section struct {
	title string
	rows  []*Builtin
}

// sections sorts the rows under headings, which come in the order of their
// first rows.
func sections(table []Builtin) []section {
	var list []section
	for i := range table {
		title := table[i].section()
		at := slices.IndexFunc(list, func(s section) bool { return s.title == title })
		if at < 0 {
			at = len(list)
			list = append(list, section{title: title})
		}
		list[at].rows = append(list[at].rows, &table[i])
	}
	return list
}

// section is the heading that a row belongs under.
func (b *Builtin) section() string {
	owner := ""
	if dot := strings.LastIndexByte(b.Name, '.'); dot >= 0 {
		owner = b.Name[:dot]
	}
	switch {
	case b.Method:
		return "Members of a " + owner
	case owner != "":
		return "Module " + owner
	case b.Phase == Declare:
		return "Declarations"
	}
	return "Functions"
}

// anchor is the fragment that a heading gets.
func anchor(title string) string {
	keep := func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(title))
}

// when says in words when a row may be used.
func (p Phase) when() string {
	switch p {
	case Declare:
		return "At the top level only."
	case Act:
		return "In the body only."
	}
	return "At the top level and in the body."
}

func (b *Builtin) markdown(w *strings.Builder) {
	fmt.Fprintf(w, "\n### `%s`\n\n", b.Signature())
	if b.Doc != "" {
		w.WriteString(b.Doc + "\n\n")
	}
	what := "Returns"
	if b.Property {
		what = "Is"
	}
	if b.Returns != "" {
		fmt.Fprintf(w, "%s: %s. ", what, b.Returns)
	}
	w.WriteString(b.Phase.when() + "\n")
	if len(b.Params) > 0 {
		w.WriteString("\n| parameter | type | default | |\n| --- | --- | --- | --- |\n")
		for _, p := range b.Params {
			p.markdown(w)
		}
	}
	if b.Example != "" {
		fmt.Fprintf(w, "\n```python\n%s\n```\n", b.Example)
	}
}

func (p *Param) markdown(w *strings.Builder) {
	name, otherwise := p.Name, "required"
	if p.Default != "" {
		otherwise = "`" + p.Default + "`"
	}
	switch p.Kind {
	case Rest:
		name, otherwise = "*"+name, ""
	case KeywordRest:
		name, otherwise = "**"+name, ""
	}
	doc := p.Doc
	switch p.Kind {
	case KeywordOnly:
		doc = strings.TrimPrefix(doc+"; by keyword", "; ")
	case Positional:
		doc = strings.TrimPrefix(doc+"; by position", "; ")
	}
	fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", name, cell(p.Type), cell(otherwise), cell(doc))
}

// cell is a text that does not end the cell of a table it stands in.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
