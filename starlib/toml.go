package starlib

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

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
