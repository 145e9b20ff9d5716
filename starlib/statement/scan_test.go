package statement_test

import (
	"slices"
	"testing"

	"perago/starlib/statement"
)

// What DuckDB takes for a text or a comment is one here too.
func TestScan(t *testing.T) {
	for query, want := range map[string][]string{
		"a -- b\rc":             {"a", "c"},
		"a -- b\nc":             {"a", "c"},
		"1$$'$$ ; x --'":        {"1", "'", ";", "x"},
		"1e5$t$ ' $t$ x":        {"1e5", " ' ", "x"},
		"1e'\\'' ; x":           {"1", "'", ";", "x"},
		"a1$$ b":                {"a1$$", "b"},
		"_$x$ b":                {"_$x$", "b"},
		"e'\\'' $$;$$ $n /*;*/": {"'", ";", "n"},
	} {
		var got []string
		for _, token := range statement.Scan(query) {
			got = append(got, token.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}
