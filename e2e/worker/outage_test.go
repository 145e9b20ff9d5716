//go:build linux

package worker

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outage is how long both servers are away, beside the time they take to start.
const outage = 60 * time.Second

// Both servers crash and stay away while attempts are in their bodies, have
// published and not reported, wait on the queue: each worker goes on by itself
// when they are back, every workflow completes, and each result is on its branch
// once. It is not parallel: nobody else has servers meanwhile.
func TestServersAway(t *testing.T) {
	type crew struct {
		point   string // where its first attempt is when the servers crash
		lease   string // seconds
		outlast bool   // the first attempt outlives the outage; else it is tried again
		early   bool   // the attempt goes on during the outage; else it does after that
		*scene
		*process
		root, held string
		flows      []*scene
		ids        []string
	}
	crews := []*crew{
		{point: "step ran", lease: "25"},
		{point: "step ran", lease: "900", outlast: true},
		{point: "published", lease: "25", early: true},
		{point: "published", lease: "900", outlast: true, early: true},
	}
	startFlow := func(c *crew) {
		flow := c.on(fmt.Sprintf("flow%d", len(c.flows)))
		c.flows, c.ids = append(c.flows, flow), append(c.ids, flow.start())
	}
	release := func(c *crew) { // and hold nobody else
		must(t, os.WriteFile(c.held, []byte("go on"), 0o600))
	}
	for _, c := range crews {
		patient := strings.NewReplacer("response_seconds = 60", "response_seconds = "+c.lease, "count = 3", "count = 10",
			"timeout(", `timeout(policy = "RETRY", `, "delay_seconds = 0", "delay_seconds = 2").Replace(link)
		c.scene = newScene(t, patient)
		c.root = c.scene.root()
		var env []string
		env, c.held = c.fault(c.point, "hold")
		// What could not be removed while lakeFS was away is the sweep's.
		c.process = c.worker(c.root, append(env, "PERAGO_WORKSPACE_GC_INTERVAL=5s")...)
		startFlow(c)
		eventually(t, "an attempt is at "+c.point, func() bool { return exists(c.held) })
	}
	more := func(after bool) { // for a long lease after the outage, lest one whose poll was not answered waits for its end
		for _, c := range crews {
			if c.outlast == after {
				startFlow(c)
				startFlow(c)
			}
		}
	}
	more(false) // one runs beside the held one, and the others wait

	began := time.Now()
	site.conductor.Kill()
	site.lakefs.Kill()
	for _, c := range crews {
		if c.early {
			release(c)
		}
	}
	<-time.After(outage)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	must(t, site.lakefs.Start(ctx))
	must(t, site.conductor.Start(ctx))
	back := time.Now()
	t.Logf("both servers away for %.0f s", back.Sub(began).Seconds())
	more(true)
	for _, c := range crews {
		if !c.early {
			release(c)
		}
	}
	for _, c := range crews {
		tries := map[string]int{}
		for i, flow := range c.flows {
			w := flow.endsWithin(4*patience, c.ids[i])
			flow.oneCommitEach(c.ids[i], w)
			for _, try := range w.Tasks {
				tries[try.Status]++
			}
			if i == 0 && (len(w.Tasks) == 1) != c.outlast {
				t.Errorf("%s with a lease of %s s: got %+v, want that it outlasts the outage: %t", c.point, c.lease, w.Tasks, c.outlast)
			}
		}
		took := time.Since(back)
		eventually(t, "the sweep has removed what the attempts left", func() bool { return len(c.attempts(c.root)) == 0 })
		select {
		case <-c.ended:
			t.Errorf("the worker ended: %v", c.cmd.ProcessState)
		default:
		}
		c.signal(syscall.SIGTERM)
		c.exits(0)
		c.nothingLeft(c.root)
		log := c.log()
		t.Logf("held at %q with a lease of %s s: %d workflows complete %.1f s after; attempts %v; polls failed %d, recovered %d; "+
			"reports retried %d; leases lost %d, extended again %d; adopted %d",
			c.point, c.lease, len(c.ids), took.Seconds(), tries, count(log, "poll failed"), count(log, "poll recovered"),
			count(log, "report retried"), count(log, "lease lost"), count(log, "lease extended again"), count(log, "adopted"))
	}
}

// count is how many records of a log have a message.
func count(log, message string) int {
	return len(regexp.MustCompile(`msg="?`+message+`\b`).FindAllString(log, -1))
}
