package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"perago/engine"
	"perago/starlib"
	"perago/starlib/diag"
)

// progressView shows on a terminal how far a run is: what the body tells with
// progress(...), else the bytes that were read and written. It is safe for
// concurrent use; away from a terminal it shows nothing.
type progressView struct {
	w io.Writer

	mu    sync.Mutex
	shown bool // on a terminal that may be drawn on
	told  bool // the body tells its own progress: bytes are not shown any more
	bar   *progressbar.ProgressBar
	max   int64
	bytes int64
}

// muchData is the number of bytes from which on a run that tells nothing gets a bar.
const muchData = 32 << 20

func (a *app) showProgress(format string) *progressView {
	return &progressView{w: a.stderr, shown: format != "json" && a.colorful(a.stderr)}
}

// hooks are what a run tells while it runs.
func (m *progressView) hooks() engine.Hooks {
	return engine.Hooks{Record: m.record, Progress: m.progress}
}

// record prints one log record of the body, above the bar.
func (m *progressView) record(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		m.bar.Clear()
	}
	fmt.Fprintln(m.w, line)
}

// progress shows what the body says of itself.
func (m *progressView) progress(p starlib.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.shown {
		return
	}
	total, done := int64(-1), int64(p.Done)
	if p.Total > 0 { // in thousandths: what a body counts in need not be whole
		total, done = 1000, int64(1000*min(p.Done/p.Total, 1))
	}
	if !m.told || m.max != total {
		m.replaceBar(total)
		m.told = true
	}
	m.bar.Describe(diag.Shorten(p.Message))
	m.bar.Set64(done)
}

// moved counts bytes that the attempt read or wrote.
func (m *progressView) moved(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += n
	if !m.shown || m.told || m.bytes < muchData {
		return
	}
	if m.bar == nil {
		m.replaceBar(-1, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true), progressbar.OptionSetDescription("moving data"))
	}
	m.bar.Set64(m.bytes)
}

func (m *progressView) replaceBar(total int64, more ...progressbar.Option) {
	if m.bar != nil {
		m.bar.Clear()
	}
	m.max = total
	m.bar = progressbar.NewOptions64(total, append(more, progressbar.OptionSetWriter(m.w), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))...)
}

// finish takes the bar away.
func (m *progressView) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bar != nil {
		m.bar.Clear()
		m.bar = nil
	}
	m.shown = false
}
