package starlib

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// structure is what struct(...) makes: named values that cannot be assigned to.
// The interpreter's own struct would recurse without end when it is shown and a list
// in it holds it.
type structure struct {
	names  []string // in the order of the call
	values []starlark.Value
	frozen bool // so that what many structs share is not visited for each
}

var (
	_ starlark.HasAttrs   = (*structure)(nil)
	_ starlark.Comparable = (*structure)(nil)
)

// newStruct makes a struct of names and values in turn.
func newStruct(pairs ...any) *structure {
	s := &structure{}
	for i := 0; i < len(pairs); i += 2 {
		s.names = append(s.names, pairs[i].(string))
		s.values = append(s.values, pairs[i+1].(starlark.Value))
	}
	return s
}

func (s *structure) Type() string         { return "struct" }
func (s *structure) Truth() starlark.Bool { return true }
func (s *structure) AttrNames() []string  { return slices.Sorted(slices.Values(s.names)) }

func (s *structure) String() string {
	var w writer
	if err := w.write(s); err != nil {
		return "struct(...)"
	}
	return w.out.String()
}

func (s *structure) Freeze() {
	if s.frozen {
		return
	}
	s.frozen = true
	for _, v := range s.values {
		v.Freeze()
	}
}

// Hash does not depend on the order of the fields, since equality does not.
func (s *structure) Hash() (uint32, error) {
	sum := uint32(8731)
	for i, name := range s.names {
		key, _ := starlark.String(name).Hash()
		value, err := s.values[i].Hash()
		if err != nil {
			return 0, err
		}
		sum += (key | 1) * (value ^ 0x9e3779b9)
	}
	return sum, nil
}

func (s *structure) Attr(name string) (starlark.Value, error) {
	if v := s.field(name); v != nil {
		return v, nil
	}
	return nil, unknownMember("the struct", ".", name, s.AttrNames())
}

// field is the value of a field, nil when there is none of that name.
func (s *structure) field(name string) starlark.Value {
	if i := slices.Index(s.names, name); i >= 0 {
		return s.values[i]
	}
	return nil
}

// CompareSameType has == and != only.
func (s *structure) CompareSameType(op syntax.Token, other starlark.Value, depth int) (bool, error) {
	if op != syntax.EQL && op != syntax.NEQ {
		return false, fmt.Errorf("struct %s struct: a struct has no order", op)
	}
	o, ok := other.(*structure)
	same := ok && len(o.names) == len(s.names)
	for i := 0; same && i < len(s.names); i++ {
		v := o.field(s.names[i])
		if v == nil {
			same = false
			break
		}
		var err error
		if same, err = starlark.EqualDepth(s.values[i], v, depth-1); err != nil {
			return false, err
		}
	}
	return same == (op == syntax.EQL), nil
}

// buildingBuiltins make values of other ones.
func buildingBuiltins() []Builtin {
	return []Builtin{
		{Name: "struct", Phase: Pure, Returns: "struct", call: buildStruct,
			Params: []Param{{Name: "fields", Type: "any", Kind: KeywordRest, Doc: "the names and values"}},
			Doc:    "A value with named fields, which cannot be assigned to. Two are equal when their fields are.", Example: `point = struct(x = 1, y = 2)
print(point.x)`},
		{Name: "format_number", Phase: Pure, Returns: "string", call: formatNumber,
			Params: []Param{{Name: "x", Type: "int or float"},
				{Name: "digits", Type: "int", Default: "2", Doc: "after the point, 0 to 100"},
				{Name: "group", Type: "string", Default: `""`, Doc: "what to put between thousands"}},
			Doc:     "A number with a fixed count of digits after the point, rounded to the nearest, as `%.2f` would in Python; an int is exact at any size.",
			Example: `format_number(1234.5, digits = 1, group = ",") == "1,234.5"`},
	}
}

func buildStruct(c *call) (starlark.Value, error) {
	s := &structure{}
	for _, kw := range c.kwrest {
		s.names = append(s.names, string(kw[0].(starlark.String)))
		s.values = append(s.values, kw[1])
	}
	return s, nil
}

func formatNumber(c *call) (starlark.Value, error) {
	digits, err := c.integer("digits", 2)
	if err != nil {
		return nil, err
	}
	if digits < 0 || digits > 100 {
		return nil, c.refuse("digits", strconv.Itoa(digits), "0 to 100")
	}
	group, err := c.text("group", "")
	if err != nil {
		return nil, err
	}
	if len(group) > 8 {
		return nil, c.refuse("group", fmt.Sprintf("%d bytes", len(group)), "at most 8")
	}
	var s string
	switch x := c.arg("x").(type) {
	case starlark.Int:
		s = x.String()
		if digits > 0 {
			s += "." + strings.Repeat("0", digits)
		}
	case starlark.Float:
		s = strconv.FormatFloat(float64(x), 'f', digits, 64)
		if strings.ContainsAny(s, "IN") { // +Inf, -Inf, NaN
			return starlark.String(x.String()), nil
		}
	default:
		return nil, c.wrongType("x", x)
	}
	return starlark.String(grouped(s, group)), nil
}

// grouped puts group between the thousands of a decimal number.
func grouped(s, group string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	if fraction != "" {
		fraction = "." + fraction
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	return sign + groupDigits(whole, group, 3, 0) + fraction
}
