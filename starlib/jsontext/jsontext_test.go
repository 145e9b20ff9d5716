package jsontext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

func TestDecode(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ text, want string }{ // want: the value, or the start of the error
		{`{"b": 1, "a": [true, false, null]}`, `map[a:[true false <nil>] b:1]`},
		{` "a\"\\\/\b\f\n\r\tbé" `, "a\"\\/\b\f\n\r\tbé"},
		{`"\ud83d\ude00\ud83d"`, "😀\uFFFD"},
		{`-0.5e-3`, "-0.5e-3"},
		{`123456789012345678901234567890`, "123456789012345678901234567890"},
		{deep(200), fmt.Sprint(deep(200))},
		{deep(201), "P3102 arrays and objects nested deeper than 200"},
		{strings.Repeat("[", 10_000), "P3102 arrays and objects nested deeper than 200"},
		{strings.Repeat(`{"a":`, 10_000), "P3102 arrays and objects nested deeper than 200"},
		{`{"a": 1, "a": 2}`, "P3103 the same key twice at byte 9"},
		{`{"a": {"\u0061": 1, "a": 2}}`, "P3103 the same key twice at byte 20"},
		{`1e400`, "P3104 a number beyond the range of a float"},
		{`-1e400`, "P3104 a number beyond"},
		{`1e-1000000000`, "P3104 a number closer to zero"},
		{`0e1000000000`, "0e1000000000"},
		{strings.Repeat("1", 1000), strings.Repeat("1", 1000)},
		{strings.Repeat("1", 1001), "P3104 a number of more than 1000 characters"},
		{``, "P3101 unexpected end of text at byte 0"},
		{`{`, "P3101 unexpected end of text, want a key"},
		{`{"a" 1}`, "P3101 unexpected '1' after a key, want `:`"},
		{`{"a": 1,}`, "P3101 unexpected '}', want a key"},
		{`{a: 1}`, "P3101 unexpected 'a', want a key in double quotes"},
		{`[1,]`, "P3101 unexpected ']' at byte 3"},
		{`[1 2]`, "P3101 unexpected '2' in an array"},
		{`NaN`, "P3101 unexpected 'N'"},
		{`[Infinity]`, "P3101 unexpected 'I'"},
		{`-Infinity`, "P3101 a number that starts with 'I'"},
		{`01`, "P3101 a number that starts with '0'"},
		{`1.`, "P3101 unexpected end of text in a number"},
		{`1e`, "P3101 unexpected end of text in a number"},
		{`+1`, "P3101 unexpected '+'"},
		{`tru`, "P3101 unexpected 't'"},
		{`'a'`, `P3101 unexpected '\''`},
		{`"a`, "P3101 a string without its end"},
		{"\"a\nb\"", `P3101 unexpected '\n' in a string`},
		{`"\x"`, "P3101 a bad escape"},
		{`"\u12"`, "P3101 a bad escape"},
		{`"\u+123"`, "P3101 a bad escape"},
		{"\"a\xff\"", "P3101 a string that is not UTF-8"},
		{"\"\\n\xff\"", "P3101 a string that is not UTF-8"},
		{"\xff", "P3101 unexpected byte 0xff"},
		{"\ufeff{}", "P3101 unexpected '\\ufeff'"},
		{`{} {}`, "P3101 unexpected '{' after the value at byte 3"},
		{`1 x`, "P3101 unexpected 'x' after the value"},
	} {
		plain, err := decode(c.text)
		got := fmt.Sprint(plain)
		if err != nil {
			got = string(err.Code) + " " + err.Error()
		}
		if got != c.want && (err == nil || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%.60q: got %.80s, want %.80s", c.text, got, c.want)
		}
	}
}

func TestDecodeSaysWhere(t *testing.T) {
	_, err := decode(`{"a/b": [0, {"x": tru}]}`)
	if err == nil {
		t.Fatal("no error")
	}
	if got, want := fmt.Sprint(err.Path), "[a/b 1 x]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Keys that share a slot of the interpreter's tables make a dict quadratic.
func TestDecodeRefusesCollidingKeys(t *testing.T) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range collidingKeys(500) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:0", key)
	}
	b.WriteByte('}')
	_, err := decode(b.String())
	if err == nil || err.Code != "P3104" {
		t.Errorf("got %v, want a refusal", err)
	}
	b.Reset()
	b.WriteByte('{')
	for i := range 50_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"k%d":0`, i)
	}
	b.WriteByte('}')
	if _, err := decode(b.String()); err != nil {
		t.Errorf("ordinary keys: %v", err)
	}
}

// FuzzDecode holds Decode against encoding/json.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `"\ud83d\ude00\u00e9"`, `-1.5e+10`, `{"a":{"a":{}}}`, `[[[]]]`, `1e400`, "\"\xff\"", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		plain, err := decode(string(text))
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		errWant := d.Decode(&want)
		if errWant == nil {
			if _, more := d.Token(); more != io.EOF {
				errWant = fmt.Errorf("more text")
			}
		}
		switch {
		case err == nil && errWant != nil:
			t.Fatalf("accepted %q: %v", text, errWant)
		case err == nil && !reflect.DeepEqual(plain, want):
			t.Fatalf("%q: got %v, want %v", text, plain, want)
		case err != nil && errWant == nil && err.Code == "P3101" && utf8.Valid(text):
			t.Fatalf("refused %q: %v", text, err)
		}
	})
}

func TestCheckObject(t *testing.T) {
	for raw, want := range map[string]string{
		`{"a": [1, -2.5e3, "x", null, true, {}]}`: "",
		``: "not an object", `[]`: "not an object", `null`: "not an object", `{"a": 1`: "unexpected end of text in an object, want `,` or `}` at byte 7",
		`{} {}`: "unexpected '{' after the value at byte 3", `{"a": 1e999}`: "a number beyond the range of a float at byte 6",
		"{\"a\": \"\xff\"}": "a string that is not UTF-8 at byte 7", strings.Repeat(`{"a":`, 201) + "1" + strings.Repeat("}", 201): "arrays and objects nested deeper than 200 at byte 1000",
	} {
		got := ""
		if err := CheckObject([]byte(raw)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40s: got %q, want %q", raw, got, want)
		}
	}
}

// collidingKeys are short keys whose hashes agree in their low bits.
func collidingKeys(n int) []string {
	var keys []string
	for i := 0; len(keys) < n; i++ {
		key := strconv.Itoa(i)
		if h, _ := starlark.String(key).Hash(); h%hashSlots == 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

// decode is a text as encoding/json decodes it with UseNumber.
func decode(text string) (any, *Error) { return Decode(text, plainBuilder{}, nil) }

type plainBuilder struct{}

func (plainBuilder) Word(v any) any    { return v }
func (plainBuilder) Text(s string) any { return s }
func (plainBuilder) Number(literal string, whole bool) (any, *Error) {
	if reason := CheckNumber(literal, whole); reason != "" {
		return nil, &Error{Code: "P3104", Reason: reason}
	}
	return json.Number(literal), nil
}
func (plainBuilder) Array(items []any) any {
	if items == nil {
		items = []any{}
	}
	return items
}
func (plainBuilder) Object() ObjectBuilder[any] { return plainObject{} }

type plainObject map[string]any

func (o plainObject) Twice(key string) bool    { _, there := o[key]; return there }
func (o plainObject) Set(key string, item any) { o[key] = item }
func (o plainObject) Done() any                { return map[string]any(o) }
