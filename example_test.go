package perago_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"perago"
)

// TestMain is the child as well: the examples start this test binary again.
func TestMain(m *testing.M) {
	if os.Getenv(unguarded) != "" {
		forgetful()
		return
	}
	perago.Main()
	dir, err := os.MkdirTemp("", "perago-examples")
	if err == nil {
		err = os.Setenv("XDG_CACHE_HOME", dir) // where attempts are by default
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func Example() {
	// perago.Main() is the first line of main.
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := task.Run(context.Background(), map[string]any{"min_rows": 3},
		&perago.RunOptions{Folder: "testdata/embedding/data"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %s\n", result.Status, result.Value)
	for _, c := range result.Changes {
		fmt.Println(c.Op, c.Path)
	}
	// Output:
	// COMPLETED: {"rows":4}
	// A count.json
}

func ExampleLoad() {
	_, err := perago.Load("testdata/embedding/cuont.star", nil)
	var wrong *perago.Error
	if errors.As(err, &wrong) {
		fmt.Println(wrong.Diagnostics[0].Code, wrong.Diagnostics[0].Message)
		fmt.Println("hint:", wrong.Diagnostics[0].Hint)
	}
	// Output:
	// P1301 there is no such file
	// hint: did you mean `testdata/embedding/count.star`?
}

func ExampleTask_TaskDef() {
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	def, err := task.TaskDef()
	fmt.Println(strings.Split(string(def), "\n")[1], err)
	// Output:
	//   "name": "rows.count", <nil>
}

func ExampleTask_Lint() {
	task, err := perago.Load("testdata/embedding/unread.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range task.Lint() {
		fmt.Println(d.Severity, d.Code, d.Message)
	}
	// Output:
	// warning P5001 the body never reads params.n
}

func ExampleTask_Run_failed() {
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	o := &perago.RunOptions{Folder: "testdata/embedding/data", Mode: perago.Thread}
	_, err = task.Run(context.Background(), map[string]any{"min_rows": 1000}, o)
	var failed *perago.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Status)
		fmt.Print(failed.Detail())
	}
	// Output:
	// FAILED_WITH_TERMINAL_ERROR
	// testdata/embedding/count.star:16:9: error P4161: only 4 rows, 1000 are wanted
	//   16 |         fail_terminal("only {} rows, {} are wanted".format(rows, params.min_rows))
	//      |         ^
}

func ExampleRunOptions() {
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	few := func(_ []string, a slog.Attr) slog.Attr {
		if !slices.Contains([]string{slog.MessageKey, "field.rows", "status"}, a.Key) {
			return slog.Attr{}
		}
		return a
	}
	_, err = task.Run(context.Background(), nil, &perago.RunOptions{
		Folder:  "testdata/embedding/data",
		Mode:    perago.Thread, // a trusted task, in this process
		Log:     slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: few}),
		Metrics: func(r perago.Result) { fmt.Println(r.Task, r.Status, r.FilesRead, "files,", r.BytesRead, "bytes") },
	})
	fmt.Println(err)
	// Output:
	// msg="attempt started"
	// msg=counted field.rows=4
	// msg=listed
	// msg=fetched
	// msg="attempt finished" status=COMPLETED
	// rows.count COMPLETED 2 files, 82 bytes
	// <nil>
}

// inbox is a queue of one's own: what is sent to it is handed out once.
type inbox struct {
	attempts chan perago.Attempt
	done     func()
}

func (q *inbox) Poll(ctx context.Context, task string, max int, wait time.Duration) ([]perago.Attempt, error) {
	select {
	case a := <-q.attempts:
		return []perago.Attempt{a}, nil
	default:
		return nil, nil
	}
}

func (q *inbox) Report(_ context.Context, r perago.Report) error {
	fmt.Printf("%s: %s %s%s\n", r.Attempt.TaskID, r.Status, r.Output, r.Reason)
	if len(q.attempts) == 0 {
		q.done()
	}
	return nil
}

func ExampleWorker() {
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &inbox{attempts: make(chan perago.Attempt, 2), done: cancel}
	q.attempts <- perago.Attempt{TaskID: "first", Input: []byte(`{"params": {"min_rows": 3}}`)}
	q.attempts <- perago.Attempt{TaskID: "second", Input: []byte(`{"params": {"min_rows": "three"}}`)}
	w := perago.Worker{Tasks: []*perago.Task{task}, Queue: q, Slots: 1,
		Options: perago.RunOptions{Folder: "testdata/embedding/data"}}
	fmt.Println(w.Run(ctx))
	// Output:
	// first: COMPLETED {"result":{"rows":4}}
	// second: FAILED_WITH_TERMINAL_ERROR /params/min_rows: got "three", want an int
	// <nil>
}

func ExampleBuiltin() {
	prices := map[string]float64{"So What": 1.5, "Nefertiti": 2}
	price := perago.Builtin{
		Name:    "shop.price",
		Params:  []perago.Param{{Name: "song", Type: "string"}, {Name: "currency", Type: "string", Default: `"EUR"`}},
		Returns: "dict",
		Doc:     "The price of a song: `price` and `currency`.",
		Call: func(_ context.Context, args map[string]any) (any, error) {
			song := args["song"].(string) // of its type, which was checked
			if price, known := prices[song]; known {
				return map[string]any{"price": price, "currency": args["currency"]}, nil
			}
			return nil, fmt.Errorf("no song %q", song)
		},
	}
	task, err := perago.Load("testdata/embedding/priced.star", &perago.LoadOptions{Builtins: []perago.Builtin{price}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range task.Lint() {
		fmt.Println(d)
	}
	result, err := task.Run(context.Background(), map[string]any{"songs": []string{"So What", "Nefertiti", "Nardis"}}, nil)
	fmt.Println(string(result.Value), err)
	// Output:
	// {"total":3.5,"unknown":["shop.price: no song \"Nardis\""]} <nil>
}

func ExampleTask_Reference() {
	hello := perago.Builtin{Name: "hello", Doc: "Greets.", Returns: "string",
		Call: func(context.Context, map[string]any) (any, error) { return "hello", nil }}
	task, err := perago.Load("testdata/embedding/unread.star", &perago.LoadOptions{Builtins: []perago.Builtin{hello}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Contains(task.Reference(), "hello()"))
	// Output:
	// true
}

func ExampleNewLake() {
	lake, err := perago.NewLake("http://localhost:8000", "key id", "secret key")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lake.Close() // nothing was sent so far
	task, err := perago.Load("testdata/embedding/count.star", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = task.Run(context.Background(), nil, &perago.RunOptions{Lake: lake, Publish: true,
		Ref: perago.Ref{Repository: "songs", Branch: "main", Commit: "main"}})
	fmt.Println(err)
	// Output:
	// /workspace/ref: got "main", want a full commit id, 64 hex digits
}
