package starlib

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"perago/starlib/diag"
)

// pack is content packed as a body's files are, in writes of some sizes.
func pack(t testing.TB, compression string, content []byte, sizes ...int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := packer(compression, &b)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; len(content) > 0; i++ {
		n := len(content)
		if len(sizes) > 0 {
			n = min(n, sizes[i%len(sizes)])
		}
		if _, err := w.Write(content[:n]); err != nil {
			t.Fatal(err)
		}
		content = content[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack is what packed content holds.
func unpack(compression string, packed []byte) ([]byte, error) {
	u := newUnpacker(compression, "x", bytes.NewReader(packed), int64(len(packed)))
	defer u.close()
	return io.ReadAll(u)
}

// someContent is text that can be packed, of that many bytes.
func someContent(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for i := range b {
		b[i] = "abcdefgh\n,"[rng.IntN(10)]
	}
	return b
}

// What is packed comes back, and is the same bytes however it was written.
func TestPackedIsRepeatable(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd"} {
		for _, size := range []int{0, 1, 1000, 3 << 20} {
			content := someContent(size)
			packed := pack(t, compression, content)
			for _, sizes := range [][]int{{1 << 16}, {7, 100_000, 3}} {
				if !bytes.Equal(pack(t, compression, content, sizes...), packed) {
					t.Errorf("%s of %d bytes: the writes show in what is packed", compression, size)
				}
			}
			got, err := unpack(compression, append(packed, packed...)) // two parts
			if err != nil || !bytes.Equal(got, append(content, content...)) {
				t.Errorf("%s of %d bytes: got %d bytes, %v", compression, size, len(got), err)
			}
		}
	}
}

// What is cut off or damaged is a complaint that names where, never less content.
func TestPackedIsDamaged(t *testing.T) {
	content := someContent(5000)
	for _, compression := range []string{"gzip", "zstd"} {
		packed := pack(t, compression, content)
		for n := range len(packed) {
			got, err := unpack(compression, packed[:n])
			complained(t, compression, err)
			if !bytes.HasPrefix(content, got) {
				t.Errorf("%s cut at %d: the content is another one", compression, n)
			}
		}
		for n := range len(packed) {
			bad := bytes.Clone(packed)
			bad[n] ^= 0x10
			if got, err := unpack(compression, bad); err != nil {
				complained(t, compression, err)
			} else if !bytes.Equal(got, content) { // some bits of a header mean nothing
				t.Errorf("%s damaged at %d: no error", compression, n)
			}
		}
	}
}

func complained(t *testing.T, compression string, err error) {
	t.Helper()
	var p *diag.Problem
	if !errors.As(err, &p) || p.Code != codePacked || !strings.HasPrefix(p.Message, "x: ") || !strings.Contains(p.Message, "of content") {
		t.Errorf("%s: got error %v", compression, err)
	}
}

// What comes out of little is bounded.
func TestUnpackedIsBounded(t *testing.T) {
	content := make([]byte, 1<<20)
	for _, compression := range []string{"gzip", "zstd"} {
		u := newUnpacker(compression, "x", bytes.NewReader(pack(t, compression, content)), 0)
		if u.most != maxUnpacked {
			t.Errorf("%s: the bound is %d", compression, u.most)
		}
		u.most = 1 << 19
		got, err := io.ReadAll(u)
		var p *diag.Problem
		if !errors.As(err, &p) || p.Code != codeTooMuch || len(got) > 1<<19 {
			t.Errorf("%s: got %d bytes, %v", compression, len(got), err)
		}
		if u := newUnpacker(compression, "x", nil, 1<<30); u.most != 200<<30 {
			t.Errorf("%s: the bound for 1 GiB is %d", compression, u.most)
		}
	}
}

// A zstd stream says itself how much memory reading it takes.
func TestZstdWindowIsBounded(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	for range 70 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	_, err = unpack("zstd", b.Bytes())
	var p *diag.Problem
	if !errors.As(err, &p) || p.Wanted != "at most 32 MiB" || p.Hint == "" {
		t.Errorf("got %v", err)
	}
}

// Reading ends with the run.
func TestUnpackingLooksAtTheCancel(t *testing.T) {
	cause := errors.New("stopped")
	for _, compression := range []string{"gzip", "zstd"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		run := &Run{Context: ctx}
		u := newUnpacker(compression, "x", cancelling{run, bytes.NewReader(pack(t, compression, someContent(1<<20)))}, 0)
		if _, err := u.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		cancel(cause)
		if _, err := io.Copy(io.Discard, u); !errors.Is(err, cause) {
			t.Errorf("%s: got %v", compression, err)
		}
		u.close()
	}
}

// cancelling reads as source does.
type cancelling struct {
	run *Run
	io.Reader
}

func (c cancelling) Read(p []byte) (int, error) {
	if err := c.run.cancelled(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// No bytes break the readers, and what they take can be packed and read again.
func FuzzUnpack(f *testing.F) {
	for _, compression := range []string{"gzip", "zstd"} {
		f.Add(pack(f, compression, []byte("hello, hello")), compression == "gzip")
		f.Add(pack(f, compression, make([]byte, 1000)), compression == "gzip")
	}
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x88"), false)
	f.Fuzz(func(t *testing.T, packed []byte, isGzip bool) {
		compression := "zstd"
		if isGzip {
			compression = "gzip"
		}
		u := newUnpacker(compression, "x", bytes.NewReader(packed), 0)
		defer u.close()
		u.most = 1 << 22
		content, err := io.ReadAll(u)
		var p *diag.Problem
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("%v is no Problem", err)
		}
		if again, err := unpack(compression, pack(t, compression, content)); err != nil || !bytes.Equal(again, content) {
			t.Fatalf("got %q, then %q, %v", content, again, err)
		}
	})
}

// Bytes of any encoding are text or a complaint, and text comes back.
func FuzzEncoding(f *testing.F) {
	for _, name := range []string{"utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1", "windows-1252", "shift_jis", "gb18030", "big5", "euc-jp", "euc-kr", "gbk", "koi8-r"} {
		f.Add([]byte("a\xe9\x81\x30\xff\xfe\x00\xd8"), name, true)
		f.Add([]byte("caf\xc3\xa9"), name, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, name string, replace bool) {
		cs, ok := charsetNamed(name)
		if !ok {
			return
		}
		cs.replace = replace
		if cs.plain() {
			cs.text, cs.name = nil, "utf-8"
		}
		got, err := io.ReadAll(cs.decoding("x", &halting{data: data}))
		var p *diag.Problem
		if err != nil {
			if !errors.As(err, &p) || replace {
				t.Fatalf("%q as %s: got error %v", data, name, err)
			}
			return
		}
		if !bytes.Equal(got, bytes.ToValidUTF8(got, nil)) {
			t.Fatalf("%q as %s is %q", data, name, got)
		}
		if bytes.ContainsRune(got, '\uFFFD') {
			return
		}
		var b bytes.Buffer
		w := cs.encoding("x", &b)
		for _, c := range got { // byte by byte
			if _, err := w.Write([]byte{c}); err != nil {
				return // some bytes are read as characters that are not written
			}
		}
		if err := w.Close(); err != nil {
			t.Fatalf("%q as %s: %v", got, name, err)
		}
		cs.replace = false
		again, err := io.ReadAll(cs.decoding("x", &b))
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q as %s: got %q, then %q, %v", data, name, got, again, err)
		}
	})
}

// halting gives its bytes one by one.
type halting struct{ data []byte }

func (h *halting) Read(p []byte) (int, error) {
	if len(h.data) == 0 || len(p) == 0 {
		return 0, io.EOF
	}
	p[0] = h.data[0]
	h.data = h.data[1:]
	return 1, nil
}
