package starlib

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
	"go.starlark.net/starlark"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// YAML and TOML: texts that people write, so they are small, and read whole.

const (
	codeYAML diag.Code = "P4116" // a text that is not YAML
	codeTOML diag.Code = "P4117" // a text that is not TOML

	// maxSettings bounds the text of yaml.decode and its like, in bytes: what
	// the parsers make of it takes up to a hundred times as much memory.
	maxSettings = 4 << 20
)

// settingsBuiltins read YAML and TOML.
func settingsBuiltins() []Builtin {
	text := func(what string) []Param {
		return []Param{{Name: "text", Type: "string, bytes or path", Doc: what + " in UTF-8, or a file of it; at most 4 MiB"}}
	}
	return []Builtin{
		{Name: "yaml.decode", Phase: Pure, Returns: "any", Params: text("one YAML document"), call: yamlDecode,
			Doc: "The value of a YAML document: None, bools, ints, floats, strings, lists, and dicts in the order of their keys. Plain scalars are those of " +
				"YAML 1.2: `yes`, `on` and `1_000` are strings, `010` is 10, and a date or a time is a string, which `time.parse` takes. A key that is " +
				"there twice, a tag of another type such as `!!python/object`, nesting deeper than 200, and aliases that stand for more than 100,000 values " +
				"are errors with line and column. `<<` merges; an empty document is None.",
			Example: `yaml.decode("name: a\ntags: [x, 1.5]\n") == {"name": "a", "tags": ["x", 1.5]}`},
		{Name: "toml.decode", Phase: Pure, Returns: "dict", Params: text("a TOML document"), call: tomlDecode,
			Doc: "The tables of a TOML 1.1 document as dicts, in the order of their keys. A date or a time is a string as it stands there, with `T` and `Z`, " +
				"which `time.parse` takes when it has an offset. An int has 64 bits. A key or a table that is there twice, and nesting deeper than 200, are errors " +
				"with line and column.",
			Example: `toml.decode("[job]\nretries = 3\n") == {"job": {"retries": 3}}`},
	}
}

// settings is an argument that is a text or a file of one, without its byte
// order mark, and the words that a complaint of it starts with.
func (c *call) settings(argument string) (text, where string, err error) {
	where = c.builtin.Name
	switch v := c.arg(argument).(type) {
	case starlark.String:
		text = string(v)
	case starlark.Bytes:
		text = string(v)
	case path:
		where += " " + diag.Shorten(v.String())
		src, err := c.openFile(v)
		if err != nil {
			return "", "", err
		}
		defer src.close()
		var b strings.Builder
		if _, err := io.Copy(&b, io.LimitReader(src, maxSettings+1)); err != nil {
			return "", "", c.fileError(v, err)
		}
		text = b.String()
	default:
		return "", "", c.wrongType(argument, v)
	}
	if len(text) > maxSettings {
		return "", "", &diag.Problem{Code: codeTooMuch, Message: where + ": the text is too long", Found: "more than 4 MiB", Wanted: "at most 4 MiB",
			Hint: "tables are read from CSV and JSON lines, which stream", Argument: c.argument(argument)}
	}
	if i := diag.InvalidUTF8(text); i >= 0 {
		return "", "", &diag.Problem{Code: codeEncoding, Message: where + ": the text is not UTF-8",
			Found: fmt.Sprintf("the byte 0x%02x at offset %d", text[i], i), Argument: c.argument(argument)}
	}
	return strings.TrimPrefix(text, string(bom)), where, nil
}

// maxAliased bounds the values that the aliases of one document stand for: nine
// lines of YAML can name a billion.
const maxAliased = 100_000

// yamlReader is a text that a parser reads: each read looks first at whether the
// run was cancelled.
type yamlReader struct {
	items itemCounter
	text  *strings.Reader
	cause error // of the cancel
}

func (r *yamlReader) Read(p []byte) (int, error) {
	if r.cause = r.items.check(); r.cause != nil {
		return 0, r.cause
	}
	return r.text.Read(p)
}

func yamlDecode(c *call) (starlark.Value, error) {
	text, where, err := c.settings("text")
	if err != nil {
		return nil, err
	}
	in := &yamlReader{items: itemCounter{call: c}, text: strings.NewReader(text)}
	y := &yamlValues{call: c, items: itemCounter{call: c}, where: where, under: map[*yaml.Node]bool{}}
	deep := func(depth int, _ *loaderlimits.DepthContext) error {
		if y.deep = depth > jsontext.MaxDepth; y.deep {
			return errTooDeep
		}
		return nil
	}
	loader, err := yaml.NewLoader(in, yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthFunc(deep))))
	if err != nil {
		return nil, c.problem(codeYAML, "%v", err)
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case in.cause != nil:
		return nil, in.cause
	case err == io.EOF:
		return starlark.None, nil
	case err != nil:
		return nil, y.broken(err)
	}
	switch err := loader.Load(&second); {
	case in.cause != nil:
		return nil, in.cause
	case err == nil:
		return nil, y.problem(&second, "a second document", "cut the text at its lines of `---`")
	case err != io.EOF:
		return nil, y.broken(err)
	}
	return y.value(&first, 0)
}

var errTooDeep = errors.New("nested too deep")

// yamlValues makes the values of one document.
type yamlValues struct {
	call    *call
	items   itemCounter
	where   string
	deep    bool                // the parser gave up, since it is nested too deep
	under   map[*yaml.Node]bool // what aliases lead to, while its value is being made
	aliased int                 // values made below aliases
}

// broken is the complaint of what the parser refused.
func (y *yamlValues) broken(err error) error {
	p := &diag.Problem{Code: codeYAML, Message: y.where + ": the text is not YAML", Argument: y.call.argument("text")}
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		return p
	}
	line, column := max(at.Mark.Line, 1), max(at.Mark.Column, 1)
	if y.deep {
		p.Message = fmt.Sprintf("%s: lists and dicts nested deeper than %d at line %d, column %d", y.where, jsontext.MaxDepth, line, column)
		return p
	}
	p.Message = fmt.Sprintf("%s: %s at line %d, column %d", y.where, diag.Shorten(diag.Printable(at.Message)), line, column)
	if strings.Contains(at.Message, "cannot start any token") && strings.Contains(at.Message, "tab") {
		p.Hint = "YAML is indented with spaces"
	}
	return p
}

// problem is a complaint of a node.
func (y *yamlValues) problem(n *yaml.Node, what, hint string) error {
	return &diag.Problem{Code: codeYAML, Message: fmt.Sprintf("%s: %s at line %d, column %d", y.where, what, n.Line, n.Column),
		Hint: hint, Argument: y.call.argument("text")}
}

func (y *yamlValues) value(n *yaml.Node, depth int) (starlark.Value, error) {
	if err := y.items.tick(); err != nil {
		return nil, err
	}
	if len(y.under) > 0 {
		if y.aliased++; y.aliased > maxAliased {
			return nil, y.problem(n, fmt.Sprintf("aliases that stand for more than %d values", maxAliased), "write out what has to be there, or make it in the body")
		}
	}
	if depth == jsontext.MaxDepth && (n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode) {
		return nil, y.problem(n, fmt.Sprintf("lists and dicts nested deeper than %d", jsontext.MaxDepth), "")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return starlark.None, nil
		}
		return y.value(n.Content[0], depth)
	case yaml.ScalarNode:
		return y.scalar(n)
	case yaml.AliasNode:
		to := n.Alias
		if y.under[to] {
			return nil, y.problem(n, "the alias *"+diag.Shorten(diag.Printable(n.Value))+" inside of what it stands for", "")
		}
		y.under[to] = true
		defer delete(y.under, to)
		return y.value(to, depth)
	case yaml.SequenceNode:
		if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!seq" {
			return nil, y.tagged(n)
		}
		items := make([]starlark.Value, 0, len(n.Content))
		for _, x := range n.Content {
			v, err := y.value(x, depth+1)
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
		return starlark.NewList(items), nil
	case yaml.MappingNode:
		return y.mapping(n, depth)
	}
	return nil, y.problem(n, "something that is no value", "")
}

func (y *yamlValues) tagged(n *yaml.Node) error {
	return y.problem(n, "the tag "+diag.Shorten(diag.Printable(n.Tag)), "a value is null, a bool, a number, a string, a list or a dict: leave the tag out")
}

// mapping makes a dict. What `<<` brings stands first, and its own keys win.
func (y *yamlValues) mapping(n *yaml.Node, depth int) (starlark.Value, error) {
	if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!map" {
		return nil, y.tagged(n)
	}
	dict := new(starlark.Dict)
	var merged bool
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !merges(n.Content[i]) {
			continue
		}
		if merged {
			return nil, y.twice(n.Content[i])
		}
		merged = true
		if err := y.merge(dict, n.Content[i+1], depth); err != nil {
			return nil, err
		}
	}
	own := new(starlark.Set)
	var keys jsontext.Collisions
	for i := 0; i+1 < len(n.Content); i += 2 {
		if merges(n.Content[i]) {
			continue
		}
		key, err := y.key(n.Content[i], depth, &keys)
		if err != nil {
			return nil, err
		}
		if had, _ := own.Has(key); had { // a scalar can be looked up
			return nil, y.twice(n.Content[i])
		}
		v, err := y.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(own.Insert(key), dict.SetKey(key, v)); err != nil {
			return nil, err
		}
	}
	return dict, nil
}

func (y *yamlValues) twice(key *yaml.Node) error {
	return y.problem(key, "the key "+starlark.String(diag.Shorten(key.Value)).String()+" twice", "")
}

// key makes a key, which is a scalar.
func (y *yamlValues) key(n *yaml.Node, depth int, keys *jsontext.Collisions) (starlark.Value, error) {
	key, err := y.value(n, depth+1)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *starlark.List, *starlark.Dict:
		return nil, y.problem(n, "a key that is a "+key.Type(), "")
	case starlark.String:
		if keys.TooMany(string(key)) {
			return nil, y.problem(n, "keys that are made to collide", "")
		}
	}
	return key, nil
}

// merges says whether a key is `<<`.
func merges(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.Style&(yaml.TaggedStyle|yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// merge adds to dict what it does not have yet of one mapping, or of several.
func (y *yamlValues) merge(dict *starlark.Dict, n *yaml.Node, depth int) error {
	v, err := y.value(n, depth+1)
	if err != nil {
		return err
	}
	from := []starlark.Value{v}
	if list, ok := v.(*starlark.List); ok {
		from = from[:0]
		for x := range starlark.Elements(list) {
			from = append(from, x)
		}
	}
	for _, v := range from {
		d, ok := v.(*starlark.Dict)
		if !ok {
			return y.problem(n, "a `<<` of what is no dict", "")
		}
		for k, v := range d.Entries() {
			if _, had, _ := dict.Get(k); had { // it is the key of a dict already
				continue
			}
			if err := dict.SetKey(k, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// scalar makes the value of a scalar. Those without quotes and tag are resolved
// by the core schema of YAML 1.2, which leaves dates alone.
func (y *yamlValues) scalar(n *yaml.Node) (starlark.Value, error) {
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&yaml.TaggedStyle == 0 {
		if n.Style&quoted != 0 || n.Tag == "!" {
			return starlark.String(n.Value), nil
		}
		return y.plain(n)
	}
	tag := n.ShortTag()
	switch tag {
	case "!!str":
		return starlark.String(n.Value), nil
	case "!!null", "!!bool", "!!int", "!!float":
	default:
		return nil, y.tagged(n)
	}
	v, err := y.plain(n)
	if err != nil {
		return nil, err
	}
	if i, ok := v.(starlark.Int); ok && tag == "!!float" {
		return i.Float(), nil
	}
	if want := map[string]string{"!!null": "NoneType", "!!bool": "bool", "!!int": "int", "!!float": "float"}[tag]; v.Type() != want {
		return nil, y.problem(n, "the tag "+tag+" on what is none", "")
	}
	return v, nil
}

// plain resolves a scalar.
func (y *yamlValues) plain(n *yaml.Node) (starlark.Value, error) {
	s := n.Value
	switch s {
	case "", "~", "null", "Null", "NULL":
		return starlark.None, nil
	case "true", "True", "TRUE":
		return starlark.True, nil
	case "false", "False", "FALSE":
		return starlark.False, nil
	case ".nan", ".NaN", ".NAN":
		return starlark.Float(math.NaN()), nil
	}
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" {
		return starlark.String(s), nil
	}
	switch digits {
	case ".inf", ".Inf", ".INF":
		return starlark.Float(math.Inf(1 - 2*strings.Count(s[:1], "-"))), nil
	}
	base, rest := 10, digits
	if digits == s && len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o') {
		base, rest = map[byte]int{'x': 16, 'o': 8}[s[1]], s[2:]
	}
	whole, number := yamlNumber(rest, base)
	switch {
	case !number:
		return starlark.String(s), nil
	case len(s) > jsontext.MaxNumber:
		return nil, y.problem(n, fmt.Sprintf("a number of more than %d characters", jsontext.MaxNumber), "")
	case !whole:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, y.problem(n, "a number beyond the range of a float", "")
		}
		return starlark.Float(f), nil
	}
	i, _ := new(big.Int).SetString(rest, base)
	if s[0] == '-' {
		i.Neg(i)
	}
	return starlark.MakeBigInt(i), nil
}

// yamlNumber says whether s, which has no sign, is a number: digits of the base,
// or a float.
func yamlNumber(s string, base int) (whole, number bool) {
	switch base {
	case 8:
		return true, strings.Trim(s, "01234567") == ""
	case 16:
		return true, strings.Trim(s, "0123456789abcdefABCDEF") == ""
	}
	digits := func() int {
		n := 0
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		s = s[n:]
		return n
	}
	before, after := digits(), 0
	if s == "" {
		return true, true
	}
	if s[0] == '.' {
		s = s[1:]
		after = digits()
	}
	if before+after == 0 {
		return false, false
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if digits() == 0 {
			return false, false
		}
	}
	return false, s == ""
}

// tomlValues makes the value of one document. The library's parser finds its
// expressions one by one; what they mean together is decided here, since its own
// decoder forgets the order of keys, and looks each one up among all others.
type tomlValues struct {
	call   *call
	items  itemCounter
	where  string
	text   string
	parser unstable.Parser
	at     int // offset of the key that is being set
}

// tomlKind says how a key came to be, and with that what may be added to it.
type tomlKind int

const (
	tomlValue    tomlKind = iota // a value: nothing
	tomlDotted                   // a table made by a dotted key: dotted keys, and tables below it
	tomlImplicit                 // a table above a header: its own header
	tomlHeader                   // a table with a header: keys
	tomlArray                    // [[tables]]: another one; the last one takes keys
)

// tomlTable is a key of a document, and what was set below it.
type tomlTable struct {
	kind  tomlKind
	dict  *starlark.Dict // of a table; of an array of them the last one
	list  *starlark.List // of an array
	below map[string]*tomlTable
	keys  jsontext.Collisions
}

func newTOMLTable(kind tomlKind) *tomlTable {
	return &tomlTable{kind: kind, dict: new(starlark.Dict), below: map[string]*tomlTable{}}
}

func tomlDecode(c *call) (starlark.Value, error) {
	text, where, err := c.settings("text")
	if err != nil {
		return nil, err
	}
	t := &tomlValues{call: c, items: itemCounter{call: c}, where: where, text: text}
	t.parser.Reset([]byte(text))
	root := newTOMLTable(tomlHeader)
	current, depth := root, 0
	for t.parser.NextExpression() {
		if err := t.items.check(); err != nil {
			return nil, err
		}
		switch e := t.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current, depth, err = t.header(root, e)
		case unstable.KeyValue:
			err = t.keyValue(current, e, depth)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := t.parser.Error(); err != nil {
		return nil, t.broken(err)
	}
	return root.dict, nil
}

// broken is the complaint of what the parser refused.
func (t *tomlValues) broken(err error) error {
	var at *unstable.ParserError
	if !errors.As(err, &at) || len(at.Highlight) == 0 {
		return t.problem(len(t.text), diag.Shorten(diag.Printable(err.Error())), "")
	}
	hint := ""
	if strings.HasPrefix(at.Message, "expected '='") {
		hint = `a line is a key and a value: name = "x"`
	}
	return t.problem(int(t.parser.Range(at.Highlight).Offset), diag.Shorten(diag.Printable(at.Message)), hint)
}

// problem is a complaint of an offset in the text.
func (t *tomlValues) problem(offset int, what, hint string) error {
	line, column := diag.Position(t.text, offset)
	return &diag.Problem{Code: codeTOML, Message: fmt.Sprintf("%s: %s at line %d, column %d", t.where, what, line, column),
		Hint: hint, Argument: t.call.argument("text")}
}

func (t *tomlValues) tooDeep() error {
	return t.problem(t.at, fmt.Sprintf("tables and arrays nested deeper than %d", jsontext.MaxDepth), "")
}

// add makes a new key of a table.
func (t *tomlValues) add(to *tomlTable, key *unstable.Node, below *tomlTable, v starlark.Value) error {
	name := string(key.Data)
	if to.keys.TooMany(name) {
		return t.problem(int(key.Raw.Offset), "keys that are made to collide", "")
	}
	to.below[name] = below
	return to.dict.SetKey(starlark.String(name), v)
}

func (t *tomlValues) twice(key *unstable.Node, what string) error {
	return t.problem(int(key.Raw.Offset), fmt.Sprintf("%s %q, which is there already", what, diag.Shorten(string(key.Data))), "")
}

// header finds or makes the table of [a.b] or [[a.b]]. depth is how deep it is.
func (t *tomlValues) header(root *tomlTable, e *unstable.Node) (table *tomlTable, depth int, err error) {
	table = root
	for keys := e.Key(); keys.Next(); {
		if err := t.items.tick(); err != nil {
			return nil, 0, err
		}
		key := keys.Node()
		t.at = int(key.Raw.Offset)
		if depth++; depth > jsontext.MaxDepth {
			return nil, 0, t.tooDeep()
		}
		next := table.below[string(key.Data)]
		switch {
		case !keys.IsLast() && next == nil:
			next = newTOMLTable(tomlImplicit)
			err = t.add(table, key, next, next.dict)
		case !keys.IsLast():
			if next.kind == tomlValue {
				err = t.twice(key, "a table below the value")
			}
			if next.kind == tomlArray {
				depth++
			}
		case e.Kind == unstable.ArrayTable:
			depth++
			next, err = t.another(table, key, next)
		case next == nil:
			next = newTOMLTable(tomlHeader)
			err = t.add(table, key, next, next.dict)
		case next.kind == tomlImplicit:
			next.kind = tomlHeader
		default:
			err = t.twice(key, "the table")
		}
		if err != nil {
			return nil, 0, err
		}
		table = next
	}
	return table, depth, nil
}

// another makes one more table of an array of them; array is nil for the first.
func (t *tomlValues) another(in *tomlTable, key *unstable.Node, array *tomlTable) (*tomlTable, error) {
	if array == nil {
		array = newTOMLTable(tomlArray)
		array.list = starlark.NewList([]starlark.Value{array.dict})
		return array, t.add(in, key, array, array.list)
	}
	if array.kind != tomlArray {
		return nil, t.twice(key, "an array of tables")
	}
	list := array.list
	*array = *newTOMLTable(tomlArray)
	array.list = list
	return array, list.Append(array.dict)
}

// keyValue sets one key, which may be dotted, of a table that is depth deep.
func (t *tomlValues) keyValue(table *tomlTable, e *unstable.Node, depth int) error {
	for keys := e.Key(); keys.Next(); {
		if err := t.items.tick(); err != nil {
			return err
		}
		key := keys.Node()
		t.at = int(key.Raw.Offset)
		if depth++; depth > jsontext.MaxDepth {
			return t.tooDeep()
		}
		next := table.below[string(key.Data)]
		switch {
		case keys.IsLast() && next == nil:
			v, err := t.value(e.Value(), depth)
			if err != nil {
				return err
			}
			return t.add(table, key, &tomlTable{kind: tomlValue}, v)
		case next == nil:
			next = newTOMLTable(tomlDotted)
			if err := t.add(table, key, next, next.dict); err != nil {
				return err
			}
		case keys.IsLast() || next.kind != tomlDotted:
			return t.twice(key, "the key")
		}
		table = next
	}
	return nil
}

// value makes a value that is depth deep.
func (t *tomlValues) value(n *unstable.Node, depth int) (starlark.Value, error) {
	if err := t.items.tick(); err != nil {
		return nil, err
	}
	text := string(n.Data)
	switch n.Kind {
	case unstable.String:
		return starlark.String(text), nil
	case unstable.Bool:
		return starlark.Bool(text == "true"), nil
	case unstable.Integer:
		i, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), integerBase(text), 64)
		if err != nil {
			return nil, t.problem(int(n.Raw.Offset), "an int of more than 64 bits", "write it as a string")
		}
		return starlark.MakeInt64(i), nil
	case unstable.Float:
		f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil {
			return nil, t.problem(int(n.Raw.Offset), "a number beyond the range of a float", "")
		}
		return starlark.Float(f), nil
	case unstable.LocalDate, unstable.LocalTime, unstable.LocalDateTime, unstable.DateTime:
		return t.time(n, text)
	case unstable.Array:
		if depth == jsontext.MaxDepth {
			return nil, t.tooDeep()
		}
		var items []starlark.Value
		for children := n.Children(); children.Next(); {
			v, err := t.value(children.Node(), depth+1)
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
		return starlark.NewList(items), nil
	case unstable.InlineTable:
		table := newTOMLTable(tomlHeader)
		for children := n.Children(); children.Next(); {
			if err := t.keyValue(table, children.Node(), depth); err != nil {
				return nil, err
			}
		}
		return table.dict, nil
	}
	return nil, t.problem(t.at, "something that is no value", "")
}

// integerBase is that of an int's text; 0 leaves it to a prefix such as 0x.
func integerBase(text string) int {
	if len(text) > 1 && text[0] == '0' {
		return 0
	}
	return 10
}

// time is a date or a time, checked, as text with the letters in upper case.
func (t *tomlValues) time(n *unstable.Node, text string) (starlark.Value, error) {
	text = strings.ToUpper(strings.Replace(text, " ", "T", 1))
	layouts := map[unstable.Kind][]string{
		unstable.LocalDate:     {"2006-01-02"},
		unstable.LocalTime:     {"15:04:05", "15:04"},
		unstable.LocalDateTime: {"2006-01-02T15:04:05", "2006-01-02T15:04"},
		unstable.DateTime:      {time.RFC3339, "2006-01-02T15:04Z07:00"},
	}[n.Kind]
	for _, layout := range layouts {
		if _, err := time.Parse(layout, text); err == nil {
			return starlark.String(text), nil
		}
	}
	return nil, t.problem(int(n.Raw.Offset), "no such date or time", "")
}
