package workspace

import (
	"context"
	"encoding/json"
)

// TaskKey names one task of one workflow over all its attempts, and the attempt.
type TaskKey struct {
	Name       string `json:"name"` // TaskDef name
	WorkflowID string `json:"workflow_id"`
	Reference  string `json:"reference"`
	Iteration  int    `json:"iteration"`
	TaskID     string `json:"task_id"` // of this attempt
	Retry      int    `json:"retry"`
}

// Publication is all that publishing one attempt needs to know.
type Publication struct {
	Ref      Ref
	Task     TaskKey
	ReadOnly bool
	Overlay  *Overlay
	Dir      *AttemptDir     // records the staging branch before it is made
	Result   json.RawMessage // the checked result of the body; nil in Prepare
	Current  Fence           // step 4; nil: there is no queue to ask
}

// Published says where an attempt's result is.
type Published struct {
	Commit  string          // M, or the input commit when nothing was written
	Result  json.RawMessage // not nil: the result of the adopted publication
	Adopted bool            // an earlier attempt, or a twin, had published
}

// Fence is nil while the attempt is still current.
type Fence func(context.Context) error
