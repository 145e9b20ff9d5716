package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	library "github.com/santhosh-tekuri/jsonschema/v5"

	"perago/starlib/jsontext"
)

// value reads JSON.
func value(t testing.TB, text string) any {
	t.Helper()
	v, err := Decode(text, never)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func never() error { return nil }

// TestOfficialSuite is the test suite of json-schema.org (MIT licence,
// github.com/json-schema-org/JSON-Schema-Test-Suite): the required tests of
// 2020-12 and of draft 7, without those of other documents.
func TestOfficialSuite(t *testing.T) {
	data, err := os.ReadFile("testdata/suite.json")
	if err != nil {
		t.Fatal(err)
	}
	var groups []struct {
		Name   string
		Schema json.RawMessage
		Tests  [][3]json.RawMessage // a description, a value, whether it is valid
	}
	if err := json.Unmarshal(data, &groups); err != nil {
		t.Fatal(err)
	}
	ran, elsewhere := 0, 0
	for _, g := range groups {
		s, err := Compile(value(t, string(g.Schema)), Options{})
		if err != nil {
			if !strings.Contains(err.Error(), "another document") {
				t.Errorf("%s: %v", g.Name, err)
			}
			elsewhere++
			continue
		}
		for _, test := range g.Tests {
			ran++
			for _, most := range []int{1, 100} {
				found, err := s.Validate(value(t, string(test[1])), most, never)
				if err != nil || fmt.Sprint(len(found) == 0) != string(test[2]) {
					t.Errorf("%s: %s (at most %d): got %v, %v; want valid %s", g.Name, test[0], most, found, err, test[2])
				}
			}
		}
	}
	if ran < 1500 || elsewhere > 12 {
		t.Errorf("ran %d tests, and %d schemas refer to other documents", ran, elsewhere)
	}
}

func TestProblems(t *testing.T) {
	for _, test := range []struct{ schema, value, want string }{
		{`{"type": "integer"}`, `"a"`, ` type: got "a", want an integer`},
		{`{"type": ["string", "null"]}`, `5`, ` type: got 5, want a string, or null`},
		{`{"properties": {"a": {"items": {"minimum": 1}}}}`, `{"a": [1, 0, 2, -1]}`, "/a/1 minimum: got 0, want at least 1\n/a/3 minimum: got -1, want at least 1"},
		{`{"required": ["id", "n"], "properties": {"id": {"type": "string"}}, "additionalProperties": false}`, `{"id": 1, "x/y": 2}`,
			" required: got no key \"n\", want the key \"n\"\n/id type: got 1, want a string\n additionalProperties: got the key \"x/y\", want only keys that the schema names"},
		{`{"anyOf": [{"type": "string"}, {"type": "object", "required": ["a"]}]}`, `{}`, ` required: got no key "a", want the key "a"`},
		{`{"anyOf": [{"type": "string"}, {"type": "null"}]}`, `[1]`, ` anyOf: got an array of 1 item, want a string, or null`},
		{`{"oneOf": [{"type": "number"}, {"minimum": 1}]}`, `5`, ` oneOf: got 5, which schemas 0 and 1 take, want a value that one of them takes alone`},
		{`{"enum": ["a", 1, null]}`, `"b"`, ` enum: got "b", want one of "a", 1, null`},
		{`{"const": {"a": 1}}`, `2`, ` const: got 2, want an object of 1 key`},
		{`{"pattern": "^[0-9]+$"}`, `"` + strings.Repeat("x", 100) + `"`, ` pattern: got "` + strings.Repeat("x", 80) + `"…, want a text that matches ^[0-9]+$`},
		{`{"uniqueItems": true}`, `[1, "a", 1.0]`, ` uniqueItems: got 1.0 at 0 and at 2, want items that differ`},
		{`{"maxLength": 2}`, `"日本語"`, ` maxLength: got 3 characters, want at most 2`},
		{`{"multipleOf": 0.01}`, `19.999`, ` multipleOf: got 19.999, want a multiple of 0.01`},
		{`{"minimum": 9007199254740993}`, `9007199254740992`, ` minimum: got 9007199254740992, want at least 9007199254740993`},
		{`{"if": {"required": ["a"]}, "then": {"required": ["b"]}}`, `{"a": 1}`, ` required: got no key "b", want the key "b"`},
		{`{"not": {"type": "null"}}`, `null`, " not: got null, want a value that the schema under `not` refuses"},
		{`{"contains": {"const": 1}, "minContains": 2}`, `[1, 2]`, ` contains: got 1 item of the wanted kind, want at least 2`},
		{`{"propertyNames": {"maxLength": 1}}`, `{"ab": 1}`, " propertyNames: got the key \"ab\", want keys that the schema under `propertyNames` takes"},
		{`{"properties": {"a": false}}`, `{"a": 1}`, `/a false: got 1, want nothing: the schema takes no value here`},
		{`{"format": "even"}`, `"odd"`, ` format: got "odd", want a text of the form even`},
		{`{"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}, "v": {"type": "integer"}}}}, "$ref": "#/$defs/n"}`,
			`{"v": 1, "next": {"v": 2, "next": {"v": "x"}}}`, `/next/next/v type: got "x", want an integer`},
	} {
		s, err := Compile(value(t, test.schema), Options{Formats: map[string]func(string) bool{"even": func(s string) bool { return len(s)%2 == 0 }}})
		if err != nil {
			t.Errorf("%s: %v", test.schema, err)
			continue
		}
		found, err := s.Validate(value(t, test.value), 100, never)
		var lines []string
		for _, p := range found {
			lines = append(lines, fmt.Sprintf("%s %s: got %s, want %s", jsontext.Pointer(p.Path), p.Keyword, p.Found, p.Wanted))
		}
		if got := strings.Join(lines, "\n"); got != test.want || err != nil {
			t.Errorf("%s against %s\ngot  %s %v\nwant %s", test.value, test.schema, got, err, test.want)
		}
	}
}

func TestBadSchemas(t *testing.T) {
	for _, test := range []struct{ schema, want string }{
		{`5`, ": got 5, want a schema: an object, true or false"},
		{`{"type": "strin"}`, `/type: got "strin", want one of null, boolean, object, array, number, string, integer`},
		{`{"type": 5}`, "/type: got 5, want a list of texts"},
		{`{"properties": {"a": {"minimum": "1"}}}`, `/properties/a/minimum: got "1", want a number`},
		{`{"properties": []}`, "/properties: got an array of 0 items, want an object of schemas"},
		{`{"multipleOf": 0}`, "/multipleOf: got 0, want a number above 0"},
		{`{"minLength": -1}`, "/minLength: got -1, want a whole number that is not negative"},
		{`{"required": "a"}`, `/required: got "a", want a list of texts`},
		{`{"items": [{}]}`, "/items: got an array of 1 item, want one schema; a list of them is prefixItems"},
		{`{"anyOf": []}`, "/anyOf: got an array of 0 items, want a list of schemas that is not empty"},
		{`{"pattern": "("}`, "/pattern: error parsing regexp: missing closing ): `(`"},
		{`{"patternProperties": {"(": {}}}`, "/patternProperties/(: error parsing regexp: missing closing ): `(`"},
		{`{"$ref": "#/$defs/a"}`, "/$ref: \"#/$defs/a\" leads nowhere: there is no /$defs"},
		{`{"$ref": "#a"}`, `/$ref: there is no anchor "a"`},
		{`{"$ref": "other.json"}`, `/$ref: "other.json" is another document, which is not fetched: copy what is needed under $defs`},
		{`{"$ref": "http://169.254.169.254/x"}`, `/$ref: "http://169.254.169.254/x" is another document, which is not fetched: copy what is needed under $defs`},
		{`{"$ref": "file:///etc/passwd"}`, `/$ref: "file:///etc/passwd" is another document, which is not fetched: copy what is needed under $defs`},
		{`{"$schema": "http://json-schema.org/draft-04/schema#"}`, `/$schema: got "http://json-schema.org/draft-04/schema#", want JSON Schema 2020-12, 2019-09, draft 7 or 6`},
	} {
		_, err := Compile(value(t, test.schema), Options{})
		if got := fmt.Sprint(err); got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.schema, got, test.want)
		}
	}
}

// Schemas that have no end, and ones that a value makes dear, end.
func TestHostileSchemas(t *testing.T) {
	for _, schema := range []string{`{"$ref": "#"}`, `{"allOf": [{"$ref": "#"}, {"$ref": "#"}]}`, `{"not": {"$ref": "#"}}`, `{"anyOf": [{"$ref": "#"}, true]}`,
		`{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}`, `{"if": {"$ref": "#"}}`, `{"$dynamicRef": "#"}`} {
		s, err := Compile(value(t, schema), Options{})
		if err != nil {
			t.Errorf("%s: %v", schema, err)
			continue
		}
		if found, err := s.Validate(value(t, `{}`), 10, never); !errors.Is(err, ErrEndless) {
			t.Errorf("%s: got %v, %v; want %v", schema, found, err, ErrEndless)
		}
	}
	// 2^60 schemas are held against the value, unless it is ended.
	defs := []string{`"d0": true`}
	for i := 1; i <= 60; i++ {
		defs = append(defs, fmt.Sprintf(`"d%d": {"allOf": [{"$ref": "#/$defs/d%d"}, {"$ref": "#/$defs/d%d"}]}`, i, i-1, i-1))
	}
	s, err := Compile(value(t, `{"$defs": {`+strings.Join(defs, ",")+`}, "$ref": "#/$defs/d60"}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	enough, ticks := errors.New("enough"), 0
	start := time.Now()
	_, err = s.Validate(nil, 10, func() error {
		if ticks++; ticks > 10_000 {
			return enough
		}
		return nil
	})
	if err != enough || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %s, want %v", err, time.Since(start), enough)
	}
	// A schema as deep as a JSON text can be.
	deep := strings.Repeat(`{"items":`, 190) + `{"type":"integer"}` + strings.Repeat(`}`, 190)
	if s, err = Compile(value(t, deep), Options{}); err != nil {
		t.Fatal(err)
	}
	found, err := s.Validate(value(t, strings.Repeat("[", 190)+`"x"`+strings.Repeat("]", 190)), 10, never)
	if err != nil || len(found) != 1 || len(found[0].Path) != 190 {
		t.Errorf("got %v, %v; want one problem 190 deep", found, err)
	}
}

// FuzzAgreesWithLibrary holds verdicts against those of a library.
func FuzzAgreesWithLibrary(f *testing.F) {
	for _, seed := range [][2]string{{`{"type": "object", "properties": {"a": {"minimum": 1}}}`, `{"a": 0}`},
		{`{"unevaluatedProperties": false, "anyOf": [{"properties": {"a": true}}]}`, `{"b": 1}`}, {`{"$ref": "#/$defs/a", "$defs": {"a": {"enum": [1.0]}}}`, `1`},
		{`{"prefixItems": [true], "items": {"uniqueItems": true}}`, `[1, [2, 2.0]]`}, {`{"dependentRequired": {"a": ["b"]}}`, `{"a": null}`}} {
		f.Add(seed[0], seed[1])
	}
	exponent := regexp.MustCompile(`[0-9][eE]`)
	f.Fuzz(func(t *testing.T, schema, text string) {
		if len(schema) > 2000 || len(text) > 2000 || strings.Contains(schema, "$schema") || strings.Contains(schema, "$id") || exponent.MatchString(schema+text) {
			return // other drafts are other rules; exponents are bounded before they come here
		}
		var doc, v any
		for s, into := range map[string]*any{schema: &doc, text: &v} {
			var bad *jsontext.Error
			if *into, bad = Decode(s, never); bad != nil {
				return
			}
		}
		own, err := Compile(doc, Options{})
		if err != nil {
			return
		}
		c := library.NewCompiler()
		c.Draft = library.Draft2020
		if c.AddResource("schema:///", strings.NewReader(schema)) != nil {
			return
		}
		theirs, theirErr := c.Compile("schema:///")
		if theirErr != nil {
			return
		}
		found, err := own.Validate(v, 100, never)
		if err != nil {
			return
		}
		if theirErr := theirs.Validate(v); (theirErr == nil) != (len(found) == 0) {
			var b bytes.Buffer
			fmt.Fprintf(&b, "%s against %s\ngot  %v\nwant %v", text, schema, found, theirErr)
			t.Error(b.String())
		}
	})
}
