package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// rows is how many the tables of the benchmark have.
const rows = 1_000_000

const makeTable = `
task(name = "make", result = schema(rows = int), workspace = workspace_spec())

def run(workspace, params):
    made = sql("SELECT 'k' || (i * 7919) % 20000 AS key, i % 1000 AS value FROM (SELECT unnest(range(1000000)) AS i)")
    made.write(workspace / "rows.csv")
    return {"rows": made.write(workspace / "rows.parquet")}
`

const groupBySQL = `
task(name = "group", result = schema(keys = int), workspace = workspace_spec())

def run(workspace, params):
    grouped = sql("SELECT key, count(*) AS n, sum(value) AS total FROM t GROUP BY key ORDER BY key", t = workspace / "rows.parquet")
    return {"keys": grouped.write(workspace / "grouped.parquet")}
`

const groupByLoop = `
task(name = "loop", result = schema(keys = int), workspace = workspace_spec())

def run(workspace, params):
    counts, totals = {}, {}
    for row in csv.dict_reader(workspace / "rows.csv"):
        key = row["key"]
        counts[key] = counts.get(key, 0) + 1
        totals[key] = totals.get(key, 0) + int(row["value"])
    csv.write(workspace / "grouped.csv", [{"key": k, "n": counts[k], "total": totals[k]} for k in sorted(counts)])
    return {"keys": len(counts)}
`

const smallStatement = `
task(name = "small", result = schema(n = int), workspace = workspace_spec())

def run(workspace, params):
    return {"n": sql("SELECT count(*) FROM t", t = [{"a": 1}, {"a": 2}]).value()}
`

// tables measures SQL as a whole process, beside a loop over the same rows. It needs
// a C compiler.
func tables(ctx context.Context, dir string) ([]figure, error) {
	perago := filepath.Join(dir, "perago-tables")
	if err := goBuild(ctx, "perago", perago, "./cmd/perago", "CGO_ENABLED=1"); err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, "tables")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	run := func(name, source string, flags ...string) (time.Duration, error) {
		file := filepath.Join(dir, name+".star")
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			return 0, err
		}
		var times []time.Duration
		for range 3 {
			d, err := timed(ctx, dir, os.Environ(), perago, append([]string{"run", file, "--workspace", folder}, flags...)...)
			if err != nil {
				return 0, err
			}
			times = append(times, d)
		}
		return median(times), nil
	}
	if _, err := run("make", makeTable, "--apply"); err != nil {
		return nil, err
	}
	statement, err := run("group", groupBySQL)
	if err != nil {
		return nil, err
	}
	loop, err := run("loop", groupByLoop)
	if err != nil {
		return nil, err
	}
	small, err := run("small", smallStatement)
	if err != nil {
		return nil, err
	}
	return []figure{
		{What: fmt.Sprintf("%d Parquet rows grouped and written by sql, the whole process", rows), Got: round(statement),
			Beside: "a loop over them as CSV " + round(loop), Ratio: float64(statement) / float64(loop),
			Bound: "under 0.1 of the loop", Holds: 10*statement < loop},
		{What: "one statement over two rows, the whole process", Got: round(small)},
	}, nil
}
