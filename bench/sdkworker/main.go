// Command sdkworker is the peer that perago's worker is measured beside: the
// runner of Conductor's own SDK, with one trivial task.
//
//	sdkworker URL TASK SLOTS
package main

import (
	"os"
	"strconv"
	"time"

	"github.com/conductor-sdk/conductor-go/sdk/model"
	"github.com/conductor-sdk/conductor-go/sdk/settings"
	"github.com/conductor-sdk/conductor-go/sdk/worker"
)

func main() {
	slots, err := strconv.Atoi(os.Args[3])
	if err != nil {
		panic(err)
	}
	runner := worker.NewTaskRunner(nil, settings.NewHttpSettings(os.Args[1]))
	err = runner.StartWorker(os.Args[2], func(*model.Task) (any, error) { return map[string]any{"result": map[string]any{}}, nil }, slots, 100*time.Millisecond)
	if err != nil {
		panic(err)
	}
	runner.WaitWorkers()
}
