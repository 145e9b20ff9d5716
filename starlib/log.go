package starlib

import (
	"log/slog"
	"math"
	"strings"
	"time"

	"perago/starlib/diag"

	"go.starlark.net/starlark"
)

const (
	// messageMax bounds the message of one record, in bytes; fieldMax the text of
	// one field.
	messageMax = 64 << 10
	fieldMax   = 16 << 10

	// progressEvery is the shortest time between two progress calls that are
	// passed on.
	progressEvery = 200 * time.Millisecond
)

// logBuiltins tell people what the body does.
func logBuiltins() []Builtin {
	rows := []Builtin{
		{Name: "print", Phase: Act, Returns: "None", call: logPrint,
			Params: []Param{{Name: "values", Type: "any", Kind: Rest}, {Name: "sep", Type: "string", Default: `" "`, Kind: KeywordOnly, Doc: "what stands between them"}},
			Doc:    "Logs one record at level info with the values as `str` shows them. At most 64 KiB are kept."},
		{Name: "progress", Phase: Act, Returns: "None", call: logProgress,
			Params: []Param{{Name: "done", Type: "int or float", Doc: "how much is done"},
				{Name: "total", Type: "int or float", Default: "None", Doc: "of how much; None when that is not known"},
				{Name: "message", Type: "string", Default: `""`, Doc: "what is being done"}},
			Doc: "Says how far the body is: on a terminal as a bar, in Conductor's task log as a line. It may be called as often as is " +
				"handy: at most five a second are passed on, and the last one (done is total) always.",
			Example: `progress(i, total = len(paths), message = path.name)`},
	}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		name := strings.ToLower(level.String())
		if level == slog.LevelWarn {
			name = "warning"
		}
		row := Builtin{Name: "log." + name, Phase: Act, Returns: "None",
			Params: []Param{{Name: "message", Type: "string", Kind: Positional, Doc: "best a constant text"},
				{Name: "fields", Type: "any", Kind: KeywordRest, Doc: "what belongs to it: numbers, strings, bools, None, lists, dicts; of another value, and of a large one, its text"}},
			Doc:     "Logs one structured record at level " + name + ", with the file and line of the call; the attempt's ids are added.",
			Example: `log.` + name + `("rows read", path = str(path), count = n)`,
			call:    func(c *call) (starlark.Value, error) { return logRecord(c, level) }}
		rows = append(rows, row)
	}
	return rows
}

func logPrint(c *call) (starlark.Value, error) {
	sep, err := c.text("sep", " ")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for i, v := range c.rest {
		if i > 0 {
			b.WriteString(sep)
		}
		if b.Len() > messageMax {
			break
		}
		b.WriteString(brief(v, messageMax))
	}
	c.log(Record{Level: slog.LevelInfo, Message: diag.ShortenBytes(b.String(), messageMax)})
	return starlark.None, nil
}

func logRecord(c *call, level slog.Level) (starlark.Value, error) {
	message, err := c.text("message", "")
	if err != nil {
		return nil, err
	}
	r := Record{Level: level, Message: diag.ShortenBytes(message, messageMax)}
	for _, kw := range c.kwrest {
		r.Fields = append(r.Fields, slog.Any(string(kw[0].(starlark.String)), new(fieldValues).plain(kw[1], 0)))
	}
	c.log(r)
	return starlark.None, nil
}

func (c *call) log(r Record) {
	r.At = callerPosition(c.thread)
	r.Message = validUTF8(r.Message)
	if c.run.Log != nil {
		c.run.Log(r)
	}
}

// fieldValues turns one field into what a log record holds.
type fieldValues struct {
	items int
	bytes int // of the texts in it; once they are fieldMax, the others are short
}

// text is v as text.
func (p *fieldValues) text(v starlark.Value) string {
	s := validUTF8(brief(v, max(fieldMax-p.bytes, 80)))
	p.bytes += len(s)
	return s
}

// plain is a value as a log record holds it: JSON-like, and never larger than
// the reader can use: of lists and dicts beyond that, the start of their text.
func (p *fieldValues) plain(v starlark.Value, depth int) any {
	const (
		deepest = 8
		longest = 1000
	)
	switch v := v.(type) {
	case starlark.NoneType:
		return nil
	case starlark.Bool:
		return bool(v)
	case starlark.Int:
		if i, ok := v.Int64(); ok {
			return i
		}
		return diag.ShortenBytes(v.String(), fieldMax)
	case starlark.Float:
		if f := float64(v); !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
		return v.String()
	case *starlark.Dict:
		if p.items += v.Len(); depth == deepest || p.items > longest {
			break
		}
		m := make(map[string]any, v.Len())
		for k, x := range v.Entries() {
			m[p.text(k)] = p.plain(x, depth+1)
		}
		return m
	case *starlark.List, starlark.Tuple:
		items := v.(starlark.Indexable)
		if p.items += items.Len(); depth == deepest || p.items > longest {
			break
		}
		list := make([]any, items.Len())
		for i := range list {
			list[i] = p.plain(items.Index(i), depth+1)
		}
		return list
	}
	return p.text(v)
}

func logProgress(c *call) (starlark.Value, error) {
	done, err := c.number("done")
	if err != nil {
		return nil, err
	}
	p := Progress{Done: done}
	if total := c.arg("total"); total != nil && total != starlark.None {
		if p.Total, err = c.number("total"); err != nil {
			return nil, err
		}
	}
	if p.Message, err = c.text("message", ""); err != nil {
		return nil, err
	}
	for i, f := range []float64{p.Done, p.Total} {
		if math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
			return nil, c.refuse([]string{"done", "total"}[i], starlark.Float(f).String(), "a finite number, 0 or more")
		}
	}
	p.Message = validUTF8(diag.ShortenBytes(p.Message, fieldMax))
	now := c.run.now()
	last := p.Total > 0 && p.Done >= p.Total
	soon := !c.run.progressAt.IsZero() && now.Sub(c.run.progressAt) < progressEvery
	if soon && (!last || c.run.progressEnded) {
		return starlark.None, nil
	}
	c.run.progressAt, c.run.progressEnded = now, last
	if c.run.Progress != nil {
		c.run.Progress(p)
	}
	return starlark.None, nil
}

// now is the clock of the run.
func (r *Run) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}
