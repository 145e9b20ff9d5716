package compare

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"perago/workspace"
	"perago/workspace/storage"
)

// compared is what --diff tells of one file; a nil text is a file that is not there.
func compared(t *testing.T, name string, before, after []byte) File {
	t.Helper()
	d := File{Path: name}
	read := func(text []byte) *side {
		if text == nil {
			return nil
		}
		s, err := readSide(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	old, now := read(before), read(after)
	for _, compare := range comparers() {
		if compare(&d, old, now) {
			break
		}
	}
	d.bound(maxDiffLines)
	return d
}

func TestDiffOfOneFile(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		kind                string
		lines               string // those that have to be there, in this order
	}{
		{"a.txt", "a\nb\n", "a\nc\n", "text", "-b|+c"},
		{"a.txt", "a\n", "a", "text", `-a|+a|\ No newline at end of file`},
		{"a.txt", "", "\x1b[31mred\u202e\n", "text", "+␛[31mred\ufffd"},
		{"a.txt", "a\r\nb\r\n", "a\r\nc\r\n", "text", " a\n-b\n+c"}, // all lines end so
		{"a.txt", "a\r\nb\r\n", "a\r\nb\n", "text", "-b␍|+b"},
		{"a.bin", "a\x00", "b\x00", "binary", "- 2 bytes, sha256 |+ 2 bytes, sha256 "},
		{"a.txt", "\xff\xfe", "b", "binary", "- 2 bytes|+ 1 byte, "},

		{"t.csv", "id,v\n1,a\n2,b\n", "id,v\n2,B\n3,c\n", "csv", "@ 2 rows, was 2: 1 added, 1 removed, 1 changed, told apart by id|~ id=2  v: b -> B|+ id=3, v=c|- id=1, v=a"},
		{"t.csv", "id,v\n1,a\n", "id,v,w\n1,a,x\n", "csv", "0 changed|+ column w"},
		{"t.csv", "id,v,w\n1,a,x\n", "id,w\n1,y\n", "csv", "1 changed|- column v|~ id=1  w: x -> y"},
		{"t.csv", "g,n,v\na,1,x\na,2,y\n", "g,n,v\na,1,x\na,2,z\n", "csv", "told apart by g, n|~ g=a, n=2  v: y -> z"},
		{"t.csv", "v\na\na\nb\n", "v\na\nb\nb\n", "csv", "1 added, 1 removed|+ v=b|- v=a"},
		{"t.csv", "id,v\n1,\n", "id,v\n1, x\n", "csv", `~ id=1  v: "" -> " x"`},
		{"t.tsv", "id\tv\n1\ta\n", "id\tv\n1\tb\n", "csv", "~ id=1  v: a -> b"},
		{"t.csv", "id,v\n1,a\n2,b\n", "id,v\n2,b\n1,a\n", "text", "-1,a|+1,a"},         // another order
		{"t.csv", "id,v\n1,a\n", "id,v\n1,\"a\"\n", "text", `+1,"a"`},                  // another way to write it
		{"t.csv", "id,v\n1,a\n", "id,v\n1,\"a\n", "text", "-1,a"},                      // no CSV
		{"t.csv", "a,a\n1,2\n", "a,a\n1,3\n", "text", "-1,2|+1,3"},                     // no names to tell the columns by
		{"t.csv", "v,w\na,1\na,2\n", "v,x\na,1\na,2\n", "text", "-v,w"},                // nothing tells the rows apart
		{"t.csv", "\xef\xbb\xbfid,v\n1,a\n", "id,v\n1,b\n", "csv", "told apart by id"}, // a byte order mark
	} {
		d := compared(t, c.name, []byte(c.before), []byte(c.after))
		text := strings.Join(d.Lines, "\n")
		rest := text
		for _, want := range strings.Split(c.lines, "|") {
			_, after, ok := strings.Cut(rest, want)
			if !ok || d.Kind != c.kind {
				t.Errorf("%s: %q -> %q: got %s\n%s\nwant %s with %q", c.name, c.before, c.after, d.Kind, text, c.kind, want)
				break
			}
			rest = after
		}
	}
}

func TestDiffIsBounded(t *testing.T) {
	var rows, lines strings.Builder
	rows.WriteString("id,v\n")
	for i := range 5000 {
		fmt.Fprintf(&rows, "%d,%d\n", i, i)
		fmt.Fprintln(&lines, i)
	}
	if d := compared(t, "a.txt", nil, []byte(lines.String())); len(d.Lines) != maxDiffLines || d.Left != 5003-maxDiffLines {
		t.Errorf("a long text: got %d lines, %d left out", len(d.Lines), d.Left)
	}
	d := compared(t, "t.csv", []byte("id,v\n"), []byte(rows.String()))
	if d.Rows == nil || d.Rows.Added != 5000 || len(d.Lines) != 1+maxRowsShown+1 || d.Lines[len(d.Lines)-1] != "+ … 4990 rows more" {
		t.Errorf("a long table: got %+v and %d lines, the last %q", d.Rows, len(d.Lines), d.Lines[len(d.Lines)-1])
	}
	if d := compared(t, "a.txt", nil, []byte(strings.Repeat("é", 5000))); len([]rune(d.Lines[3])) != maxDiffWidth+1 {
		t.Errorf("a long line: got %d characters", len([]rune(d.Lines[3])))
	}
	large := bytes.Repeat([]byte("a\n"), maxDiffText/2+1)
	if d := compared(t, "a.txt", []byte("a\n"), large); d.Kind != "binary" || d.New.Size != int64(len(large)) || d.New.SHA256 == "" {
		t.Errorf("a large text: got %s, %+v", d.Kind, d.New)
	}
}

func TestManyFilesAreBounded(t *testing.T) {
	var changes []workspace.Change
	for i := range MaxFiles + 5 {
		changes = append(changes, workspace.Change{Op: storage.Deleted, Path: fmt.Sprintf("%03d.txt", i), Size: 4})
	}
	old := func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("old\n")), nil
	}
	if diffs, err := Files(t.Context(), changes, old, nil); err != nil || len(diffs) != MaxFiles {
		t.Fatalf("got %d diffs, %v; want %d", len(diffs), err, MaxFiles)
	}
}
