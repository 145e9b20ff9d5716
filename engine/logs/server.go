package logs

import (
	"fmt"
	"sync"

	"perago/starlib"
	"perago/starlib/diag"
)

const (
	serverMax = 32 << 10 // bytes of an attempt's log at the server, in all
	storyMax  = 16 << 10 // of these, kept for the story of a failure
)

// ServerLog holds the lines of an attempt that the server has not seen yet, within
// what an attempt may send in all. Once its share is used up, lines are counted
// and no longer kept: the attempt's own log has them. The zero value is empty.
type ServerLog struct {
	mu       sync.Mutex
	lines    []string
	used     int // bytes, of everything that was ever kept
	dropped  int // lines
	progress string
}

// Add appends a line of the body.
func (t *ServerLog) Add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(line, serverMax-storyMax)
}

// SetProgress remembers the newest progress; Take makes a line of it.
func (t *ServerLog) SetProgress(p starlib.Progress) {
	line := fmt.Sprintf("progress %g", p.Done)
	if p.Total > 0 {
		line += fmt.Sprintf("/%g", p.Total)
	}
	if p.Message != "" {
		line += " " + p.Message
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = line
}

// AddStory appends the story of a failure, which has a share of its own.
func (t *ServerLog) AddStory(story string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putProgress()
	if t.dropped > 0 {
		t.lines = append(t.lines, fmt.Sprintf("… %d more lines are in the worker's log", t.dropped))
		t.dropped = 0
	}
	t.put(diag.ShortenBytes(story, storyMax-256), serverMax)
}

// put keeps line when it and its newline fit into most; the lock is held.
func (t *ServerLog) put(line string, most int) {
	if t.dropped > 0 || t.used+len(line)+1 > most {
		t.dropped++
		return
	}
	t.used += len(line) + 1
	t.lines = append(t.lines, line)
}

// Take hands over the lines that are there.
func (t *ServerLog) Take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.putProgress()
	lines := t.lines
	t.lines = nil
	return lines
}

func (t *ServerLog) putProgress() {
	if t.progress != "" {
		t.put(t.progress, serverMax-storyMax)
		t.progress = ""
	}
}

// PutBack returns lines that Take had handed over.
func (t *ServerLog) PutBack(lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(lines, t.lines...)
}
