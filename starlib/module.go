package starlib

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

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
	if says, ok := insteadOf(prefix, name); ok {
		p.Hint = says
	} else if near := diag.Nearest(name, known); near != "" {
		p.Hint = fmt.Sprintf("did you mean `%s%s`?", prefix, near)
	} else {
		slices.Sort(known)
		p.Wanted = "one of " + strings.Join(known, ", ")
	}
	return p
}

// InsteadOf is what to write in place of a member that this library does not
// have, such as "json.loads"; "" when nothing is known.
func InsteadOf(member string) string {
	dot := strings.LastIndexByte(member, '.') + 1
	hint, _ := insteadOf(member[:dot], member[dot:])
	return hint
}

// insteadOf is what to write in place of a member that Python has, or that a
// Pythonista expects, and this library does not.
func insteadOf(prefix, name string) (hint string, ok bool) {
	switch prefix + name {
	case "json.loads", "json.load":
		return "write json.decode(text), or json.lines(path) for a file with one value a line", true
	case "json.dumps", "json.dump":
		return "write json.encode(value)", true
	case "csv.DictReader":
		return "write csv.dict_reader(path)", true
	case "csv.writer", "csv.DictWriter":
		return "write csv.write(path, rows, header = [...])", true
	case "re.X", "re.VERBOSE":
		return "verbose patterns are not supported: write the pattern without white space and comments", true
	case "re.A", "re.ASCII", "re.U", "re.UNICODE":
		return "leave it out: \\d, \\w and \\s are ASCII always; write \\pL or \\p{Greek} for classes of Unicode", true
	case "base64.b64encode", "base64.standard_b64encode":
		return "write base64.encode(data)", true
	case "base64.b64decode", "base64.standard_b64decode":
		return "write base64.decode(text)", true
	case "base64.urlsafe_b64encode":
		return "write base64.encode(data, url = True)", true
	case "base64.urlsafe_b64decode":
		return "write base64.decode(text, url = True)", true
	case "stats.std", "stats.pstdev":
		return "write stats.stdev(items), or stats.stdev(items, sample = False)", true
	case "stats.var", "stats.pvariance":
		return "write stats.variance(items), or stats.variance(items, sample = False)", true
	case "stats.percentile", "stats.quantiles":
		return "write stats.quantile(items, 0.95)", true
	case "random.random", "random.randint", "random.choice", "random.shuffle", "random.sample", "random.uniform", "random.seed":
		return "make a generator first, so that a second attempt draws the same: rng = random.seeded(params.seed), then rng." + name + "(...)", true
	case "time.time":
		return "write time.now().unix for the seconds since 1970", true
	case "time.sleep":
		return "a body cannot wait: call fail(message), and Conductor runs the task again later", true
	case "log.warn":
		return "write log.warning(message)", true
	case "path.symlink_to", "path.hardlink_to", "path.is_symlink":
		return "there are no links in a workspace: write path.copy(target), which costs no download", true
	case "path.resolve", "path.absolute", "path.relative_to":
		return "a path is relative to the workspace already: write str(path)", true
	case "path.touch":
		return `write path.write_text("")`, true
	case "path.rmtree", "path.rmdir":
		return "write path.remove_tree()", true
	case "path.replace", "path.move":
		return "write path.rename(target)", true
	case "path.with_suffix", "path.with_stem", "path.with_name":
		return "write path.parent / (path.stem + \".new\")", true
	case "file.readlines":
		return "loop over the file: `for line in f`", true
	case "file.flush":
		return "nothing is visible before close(); leave it out", true
	case "file.seek", "file.tell", "file.truncate":
		return "a file is read or written from front to back; open it again to start over", true
	}
	return "", false
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
