package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"

	"golang.org/x/term"

	"perago/starlib/diag"
)

// rootFlag adds --root, what "//" means in a load.
func rootFlag(fs *flag.FlagSet) *string {
	return fs.String("root", "", "what // means in load(\"//…\"): a `DIR`; by default the current one, or the file's own when that is elsewhere")
}

func (a *app) textOptions() diag.TextOptions {
	return diag.TextOptions{Color: a.colorful(a.stderr)}
}

// colorful: w is a terminal that wants colour.
func (a *app) colorful(w io.Writer) bool {
	env := environment(a.environ)
	return isTerminal(w) && env["NO_COLOR"] == "" && env["TERM"] != "dumb"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns is the width of the terminal w, 80 when it does not tell.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

// writeJSON writes v as two-space indented JSON with a newline at its end, text as it is.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(diag.PrintableJSON(b.Bytes()))
	return err
}
