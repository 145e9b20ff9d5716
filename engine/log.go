package engine

// attemptAttrs are what every log record of an attempt carries.
func attemptAttrs(a Attempt) []any {
	return []any{"task", a.Task, "workflow_id", a.WorkflowID, "task_id", a.TaskID, "retry", a.Retry}
}
