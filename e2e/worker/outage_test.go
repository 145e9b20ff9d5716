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

// absence is how long a server is away, beside the time it takes to start.
const absence = 60 * time.Second

// One server crashes, or both, and stays away while attempts are in their
// bodies, have published and not reported, wait on the queue: each worker goes on
// by itself when it is back, every workflow completes, and each result is on its
// branch once. It is not parallel: nobody else has servers meanwhile.
func TestServersAway(t *testing.T) {
	for _, o := range []outage{{conductor: true, lakefs: true}, {conductor: true}, {lakefs: true}} {
		t.Run(o.name(), func(t *testing.T) {
			crews := []*crew{
				{point: "step ran", lease: 25},
				{point: "step ran", lease: 900, outlasts: true},
				{point: "published", lease: 25, early: true},
				{point: "published", lease: 900, outlasts: true, early: true},
			}
			for _, c := range crews {
				c.outlasts = c.outlasts || !o.conductor // whose clock runs on
				c.board(t)
			}
			// What polls for a long lease while Conductor dies may have its answer
			// lost, and would wait for the lease's end: those start afterwards.
			more := func(after bool) {
				for _, c := range crews {
					if (o.conductor && c.lease > 100) == after {
						c.startFlow()
						c.startFlow()
					}
				}
			}
			more(false)
			o.begin()
			for _, c := range crews {
				if c.early {
					c.release()
				}
			}
			<-time.After(absence)
			o.end(t)
			back := time.Now()
			more(true)
			for _, c := range crews {
				if !c.early {
					c.release()
				}
			}
			for _, c := range crews {
				c.recovers(back)
			}
		})
	}
}

// outage says who is away.
type outage struct{ conductor, lakefs bool }

func (o outage) name() string {
	switch {
	case !o.conductor:
		return "lakeFS"
	case !o.lakefs:
		return "Conductor"
	}
	return "both"
}

func (o outage) begin() {
	if o.conductor {
		site.conductor.Kill()
	}
	if o.lakefs {
		site.lakefs.Kill()
	}
}

func (o outage) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if o.lakefs {
		must(t, site.lakefs.Start(ctx))
	}
	if o.conductor {
		must(t, site.conductor.Start(ctx))
	}
}

// crew is a worker with two slots, whose first attempt is held at a point.
type crew struct {
	point    string // where its first attempt is when the servers crash
	lease    int    // seconds
	outlasts bool   // the first attempt outlives the outage; else it is tried again
	early    bool   // the attempt goes on during the outage; else it does after that

	*scene
	*process
	folder, held string
	flows        []*scene
	ids          []string
}

// board starts the worker, and waits until its first attempt is held.
func (c *crew) board(t *testing.T) {
	t.Helper()
	c.scene = newScene(t, strings.NewReplacer("response_seconds = 60", fmt.Sprint("response_seconds = ", c.lease), "count = 3", "count = 10",
		"timeout(", `timeout(policy = "RETRY", `, "delay_seconds = 0", "delay_seconds = 8").Replace(link))
	c.folder = c.root()
	var env []string
	env, c.held = c.fault(c.point, "hold")
	// What could not be removed while lakeFS was away is the sweep's.
	c.process = c.worker(c.folder, append(env, "PERAGO_WORKSPACE_GC_INTERVAL=5s")...)
	c.startFlow()
	eventually(t, "an attempt is at "+c.point, func() bool { return exists(c.held) })
}

func (c *crew) startFlow() {
	flow := c.on(fmt.Sprintf("flow%d", len(c.flows)))
	c.flows, c.ids = append(c.flows, flow), append(c.ids, flow.start())
}

// release lets the attempt go on, and holds nobody else.
func (c *crew) release() {
	must(c.scene.t, os.WriteFile(c.held, []byte("go on"), 0o600))
}

// recovers wants all workflows to complete, nothing left, and a worker that is
// still there.
func (c *crew) recovers(back time.Time) {
	t := c.scene.t
	t.Helper()
	tries := map[string]int{}
	for i, flow := range c.flows {
		w := flow.endsWithin(4*patience, c.ids[i])
		flow.oneCommitEach(c.ids[i], w)
		for _, try := range w.Tasks {
			tries[try.Status]++
		}
		if i == 0 && (len(w.Tasks) == 1) != c.outlasts {
			t.Errorf("%s with a lease of %d s: got %+v, want that it outlasts the outage: %t", c.point, c.lease, w.Tasks, c.outlasts)
		}
	}
	took := time.Since(back)
	eventually(t, "the sweep has removed what the attempts left", func() bool { return len(c.attempts(c.folder)) == 0 })
	select {
	case <-c.ended:
		t.Errorf("the worker ended: %v", c.cmd.ProcessState)
	default:
	}
	c.signal(syscall.SIGTERM)
	c.exits(0)
	c.nothingLeft(c.folder)
	log := c.log()
	t.Logf("held at %q with a lease of %d s: %d workflows complete %.1f s after; attempts %v; polls failed %d, recovered %d; "+
		"reports retried %d; leases lost %d, extended again %d; adopted %d",
		c.point, c.lease, len(c.ids), took.Seconds(), tries, count(log, "poll failed"), count(log, "poll recovered"),
		count(log, "report retried"), count(log, "lease lost"), count(log, "lease extended again"), count(log, "adopted"))
}

// count is how many records of a log have a message.
func count(log, message string) int {
	return len(regexp.MustCompile(`msg="?`+message+`\b`).FindAllString(log, -1))
}
