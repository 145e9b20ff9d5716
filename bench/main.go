// Command bench measures perago beside its peers, in one run, and prints what
// it found as ratios and figures. Nothing in the tests depends on it.
//
//	go run ./bench              what needs no server
//	go run ./bench -servers     real lakeFS and Conductor as well
//
// Times are medians; memory is the sum over a process and all its descendants,
// sampled. Run it on a machine that does nothing else.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"perago/engine/isolate"
)

func main() {
	isolate.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// figure is one row of the report.
type figure struct {
	What   string
	Got    string
	Beside string // the peer and its figure; "" when there is none
	Ratio  float64
	Bound  string // what perago promises; "" when it promises nothing
	Holds  bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	withServers := flags.Bool("servers", false, "measure against real servers as well (builds them first)")
	if flags.Parse(args) != nil {
		return 2
	}
	dir, err := os.MkdirTemp("", "perago-bench-")
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	sections := []func(context.Context, string) ([]figure, error){bodies, commands, tables}
	if *withServers {
		sections = append(sections, attempts)
	}
	table := tabwriter.NewWriter(stdout, 2, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tperago\tbeside\tratio\tpromise\tholds")
	code := 0
	for _, section := range sections {
		figures, err := section(ctx, dir)
		for _, f := range figures {
			ratio, holds := "", ""
			if f.Ratio != 0 {
				ratio = fmt.Sprintf("%.2f", f.Ratio)
			}
			if f.Bound != "" {
				holds = map[bool]string{true: "yes", false: "NO"}[f.Holds]
				if !f.Holds {
					code = 1
				}
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", f.What, f.Got, f.Beside, ratio, f.Bound, holds)
		}
		if err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			code = 1
		}
	}
	table.Flush()
	return code
}
