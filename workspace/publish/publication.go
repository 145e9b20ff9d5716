package publish

import (
	"context"
	"encoding/json"

	"perago/workspace"
	"perago/workspace/attempts"
)

// Publication is all that publishing one attempt needs to know.
type Publication struct {
	Ref      workspace.Ref
	Task     attempts.TaskKey
	ReadOnly bool
	Rebase   bool // the branch may have moved, if what changed there is nothing that the attempt asked for or wrote
	Overlay  *workspace.Overlay
	Dir      *attempts.Dir   // records the staging branch before it is made
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
