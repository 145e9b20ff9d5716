package starlib

import (
	"perago/workspace"
)

// Task is what task(...) declares, checked. It is immutable once loaded.
type Task struct {
	Name         string
	Description  string // "" when not given
	OwnerEmail   string // "" when not given
	Params       *Schema
	Result       *Schema         // nil: any JSON object
	Workspace    *workspace.Spec // nil: a workspace-free task
	Controls     Controls
	StrictParams bool
	Resources    Resources
	At           Position   // of the call of task
	PreAt        []Position // of the calls of Workspace.Pre
	PostAt       []Position // of the calls of Workspace.Post
}

// Controls are the knobs of Conductor, defaults filled in (docs/language.md).
type Controls struct {
	Retry         Retry
	Timeout       Timeout
	Limits        ExecutionLimits
	PublishBudget *PublishBudget // nil when not given
}

// Retry of a failed attempt, by Conductor.
type Retry struct {
	Count           int    // 0 to 10
	Logic           string // FIXED, EXPONENTIAL_BACKOFF, LINEAR_BACKOFF
	DelaySeconds    int
	MaxDelaySeconds int
	JitterMS        int
	On              string // "any" or "transient": which failures are worth a retry; not for Conductor

	at Position // of the call of retry
}

// Timeout of a task, kept by Conductor; all in seconds, 0 is none.
type Timeout struct {
	Policy          string // RETRY, TIME_OUT_WF, ALERT_ONLY
	Seconds         int
	ResponseSeconds int
	PollSeconds     int
	TotalSeconds    int

	at Position // of the call of timeout
}

// ExecutionLimits are Conductor's; nil is not given.
type ExecutionLimits struct {
	ConcurrentExecLimit         *int
	RateLimitPerFrequency       *int
	RateLimitFrequencyInSeconds *int
}

// PublishBudget is what an operator allows a publication, in seconds.
type PublishBudget struct {
	ObservedMergeP99           int
	SafetyMargin               int
	LakeFSMergeTimeout         int
	ConductorCompletionTimeout int
	WorkerShutdownGrace        int
	HeartbeatInterval          int

	at Position // of the call of publish_budget
}

// Resources limit one run of the body. 0 is no limit.
type Resources struct {
	Memory  int64 // bytes of live memory
	Seconds int   // wall time
	Steps   uint64
	Output  int64 // bytes that are published
	Files   int   // files and folders that are written or deleted
	Scratch int64 // bytes that are written
}
