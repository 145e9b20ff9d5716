package starlib

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

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
