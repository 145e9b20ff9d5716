package starlib_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
)

// tarOf is a tar of headers, each with as many bytes as it says.
func tarOf(t testing.TB, headers ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		err := w.WriteHeader(&h)
		if err == nil {
			_, err = w.Write(make([]byte, h.Size))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// zipOf is a zip of headers, each with that content.
func zipOf(t testing.TB, content string, headers ...zip.FileHeader) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, h := range headers {
		f, err := w.CreateHeader(&h)
		if err == nil && !strings.HasSuffix(h.Name, "/") {
			_, err = f.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// central is an entry in the directory of a zip.
func central(name string, flags, packed, size, offset uint32) string {
	var b bytes.Buffer
	for _, x := range []any{uint32(0x02014b50), uint16(20), uint16(20), uint16(flags), uint16(0), uint32(0), uint32(0), packed, size,
		uint16(len(name)), uint16(0), uint16(0), uint16(0), uint16(0), uint32(0), offset} {
		binary.Write(&b, binary.LittleEndian, x)
	}
	return b.String() + name
}

// local stands before the content of an entry.
func local(name string, flags, packed, size uint32) string {
	var b bytes.Buffer
	for _, x := range []any{uint32(0x04034b50), uint16(20), uint16(flags), uint16(0), uint32(0), uint32(0), packed, size, uint16(len(name)), uint16(0)} {
		binary.Write(&b, binary.LittleEndian, x)
	}
	return b.String() + name
}

// closing is the end of a zip whose directory starts at an offset.
func closing(entries, size, offset int) string {
	var b bytes.Buffer
	for _, x := range []any{uint32(0x06054b50), uint16(0), uint16(0), uint16(entries), uint16(entries), uint32(size), uint32(offset), uint16(0)} {
		binary.Write(&b, binary.LittleEndian, x)
	}
	return b.String()
}

// wholeZip is entries and their directory.
func wholeZip(entries, directory string, count int) string {
	return entries + directory + closing(count, len(directory), len(entries))
}

// What a workspace cannot have is refused, with the name of the entry.
func TestArchivesOfNoGood(t *testing.T) {
	sparse := tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "s", PAXRecords: map[string]string{"XNU.sparse.major": "1"}, Format: tar.FormatPAX})
	sparse = strings.ReplaceAll(sparse, "XNU.sparse.major", "GNU.sparse.major") // the library does not write them
	entries := local("a", 0, 5, 5) + "hello" + local("b", 0, 5, 5) + "hello"
	link := zip.FileHeader{Name: "l"}
	link.SetMode(os.ModeSymlink | 0o777)
	for name, tt := range map[string]struct{ file, content, want string }{
		"up":          {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "../x"}), `P4123 archive.entries a.tar: the entry "../x": got a name that has a ".." segment, want a path below the workspace`},
		"up inside":   {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a/../../x"}), `has a ".." segment`},
		"absolute":    {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd"}), `the entry "/etc/passwd": got a name that is absolute`},
		"control":     {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "a\x1b[2Jb"}), `has a control character`},
		"backslash":   {"a.zip", zipOf(t, "x", zip.FileHeader{Name: `..\x`}), `has a backslash`},
		"zip up":      {"a.zip", zipOf(t, "x", zip.FileHeader{Name: "../x"}), `the entry "../x": got a name that has a ".." segment`},
		"symlink":     {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"}), `the entry "l": got a symbolic link, want an entry with content`},
		"hard link":   {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "l", Linkname: "x"}), `a link to another entry`},
		"device":      {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "d"}), `a device, a pipe`},
		"pipe":        {"a.tar", tarOf(t, tar.Header{Typeflag: tar.TypeFifo, Name: "d"}), `a device, a pipe`},
		"sparse":      {"a.tar", sparse, `P4123`},
		"zip symlink": {"a.zip", zipOf(t, "/etc", link), `the entry "l": got a symbolic link`},
		"encrypted": {"a.zip", wholeZip(local("a", 1, 5, 5)+"hello", central("a", 1, 5, 5, 0), 1),
			`the entry "a": got encrypted`},
		"overlapping": {"a.zip", wholeZip(entries, central("a", 0, 41, 41, 0)+central("b", 0, 5, 5, 36), 2),
			`P4123 archive.entries a.zip: its entries overlap`},
		"twice the same": {"a.zip", wholeZip(entries, central("a", 0, 5, 5, 0)+central("a", 0, 5, 5, 0), 2), `its entries overlap`},
		"beyond the end": {"a.zip", wholeZip(entries, central("a", 0, 5000, 5000, 0), 1), `the zip ends too early`},
		"too much": {"a.zip", wholeZip(entries, strings.Repeat(central("a", 0, 5, 4_000_000_000, 0), 3), 3),
			`P4120 archive.entries a.zip: too much is packed in it: got more than 10 GiB out of 235 bytes`},
		"a large directory": {"a.zip", wholeZip("", strings.Repeat(central("a", 0, 0, 0, 0), 400_000), 400_000&0xffff),
			`P4120 archive.entries a.zip: the directory of the zip is too large: got more than 16 MiB`},
		"longer than it says": {"a.zip", strings.Replace(zipOf(t, "hello", zip.FileHeader{Name: "a"}), "\x05\x00\x00\x00\x05\x00\x00\x00\x01\x00", "\x05\x00\x00\x00\x04\x00\x00\x00\x01\x00", 1), `P4123 archive.entries a.zip: the entry "a": `},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inBody(t, map[string]string{tt.file: tt.content}, fmt.Sprintf(`[e.read() for e in archive.entries(workspace / %q)]`, tt.file))
			var p *diag.Problem
			if !errors.As(err, &p) || !strings.Contains(string(p.Code)+" "+p.Error(), tt.want) {
				t.Errorf("got  %v %v\nwant %s", p, err, tt.want)
			}
		})
	}
}

// Links and devices can be passed over; "./" at the front means nothing.
func TestArchiveSkipsLinks(t *testing.T) {
	content := tarOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "./"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./a", Size: 3}, tar.Header{Typeflag: tar.TypeFifo, Name: "p"}, tar.Header{Typeflag: tar.TypeReg, Name: "b"})
	got, err := inBody(t, map[string]string{"a.tar": content}, `[(e.name, e.size) for e in archive.entries(workspace / "a.tar", skip_links = True)]`)
	if want := `[("a", 3), ("b", 0)]`; err != nil || got.String() != want {
		t.Errorf("got %v, %v; want %s", got, err, want)
	}
}

// An archive that is cut off or damaged anywhere is a complaint, or what it was.
func TestDamagedArchives(t *testing.T) {
	_, files := recorded(t)
	for _, name := range []string{"a.zip", "a.tgz", "a.tar.zst"} {
		whole := files[name]
		read := fmt.Sprintf(`[(e.name, e.read()) for e in archive.entries(workspace / %q)]`, name)
		want, err := inBody(t, files, read)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(whole); n += 1 + n/40 {
			for _, bad := range []string{whole[:n], whole[:n] + string(whole[n]^0x40) + whole[n+1:]} {
				got, err := inBody(t, map[string]string{name: bad}, read)
				var p *diag.Problem
				if err != nil && !errors.As(err, &p) {
					t.Fatalf("%s at %d: %v is no Problem", name, n, err)
				}
				if err == nil && len(bad) < len(whole) && got.String() != want.String() {
					t.Errorf("%s cut at %d: got %v", name, n, got)
				}
			}
		}
	}
}

// The archives that Python wrote hold what it says.
func TestReadsArchivesOfPython(t *testing.T) {
	r, files := recorded(t)
	for _, name := range []string{"a.zip", "a.tar.gz", "a.tar.zst", "a.tgz"} {
		got, err := inBody(t, files, fmt.Sprintf(`{e.name: base64.encode(e.read()) for e in archive.entries(workspace / %q)}`, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for member, content := range r.Members {
			data, err := hex.DecodeString(content)
			if err != nil {
				t.Fatal(err)
			}
			want, err := inBody(t, map[string]string{"x": string(data)}, `base64.encode((workspace / "x").read_bytes())`)
			if err != nil || !strings.Contains(got.String(), fmt.Sprintf("%q: %s", member, want)) {
				t.Errorf("%s: %s is not %s in %v", name, member, want, got)
			}
		}
	}
}

// No bytes break a reader of archives, and no name of an entry leads out.
func FuzzArchive(f *testing.F) {
	f.Add([]byte(zipOf(f, "hello, hello", zip.FileHeader{Name: "a/b"}, zip.FileHeader{Name: "../c", Method: zip.Deflate})), "zip")
	f.Add([]byte(tarOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 700}, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("é/", 99) + "x"})), "tar")
	f.Add([]byte(wholeZip(local("a", 0, 5, 5)+"hello", central("a", 0, 5, 5, 0), 1)), "zip")
	f.Fuzz(func(t *testing.T, data []byte, format string) {
		if format != "zip" && format != "tar" {
			return
		}
		files := overlay(t, workspace.Spec{}, map[string]string{"x": string(data)})
		run := &starlib.Run{Context: t.Context(), Files: files}
		err := body(t, run, fmt.Sprintf(`
for e in archive.entries(workspace / "x", format = %q, skip_links = True):
    (workspace / "out" / e.name).joinpath("f")
    e.read()
archive.write(workspace / "y", archive.entries(workspace / "x", format = %q, skip_links = True), format = %q)
[e.read() for e in archive.entries(workspace / "y", format = %q)]
`, format, format, format, format))
		if kept := run.Err(); kept != nil {
			err = kept
		}
		var p *diag.Problem
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("%v is no Problem", err)
		}
		if err := run.End(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
