package starlib

import (
	"fmt"

	"perago/starlib/diag"
)

// Warnings are what `perago check` says of a declaration that is allowed and
// likely not meant. Their places are those of the calls.
func Warnings(t *Task) diag.List {
	var list diag.List
	warn := func(code diag.Code, at Position, message, found, wanted, hint string) {
		list = append(list, &diag.Diagnostic{Code: code, Severity: diag.Warning, Message: message, Found: found, Wanted: wanted, Hint: hint,
			File: at.File, Line: at.Line, Column: at.Column})
	}
	if t.OwnerEmail == "" {
		warn("P5101", t.At, "task: no owner_email", "", "", "a Conductor server may refuse a task without an owner: add owner_email = \"team@example.com\"")
	}
	timeout, retry := t.Controls.Timeout, t.Controls.Retry
	if timeout.Seconds > 0 && timeout.Seconds < timeout.ResponseSeconds {
		warn("P5103", timeout.at, "timeout: the task is over before it counts as silent", fmt.Sprintf("seconds = %d", timeout.Seconds),
			fmt.Sprintf("at least response_seconds, %d", timeout.ResponseSeconds), "raise seconds, or lower response_seconds")
	}
	if retry.MaxDelaySeconds > 0 && retry.MaxDelaySeconds < retry.DelaySeconds {
		warn("P5104", retry.at, "retry: the longest delay is below the first", fmt.Sprintf("max_delay_seconds = %d", retry.MaxDelaySeconds),
			fmt.Sprintf("at least delay_seconds, %d", retry.DelaySeconds), "raise max_delay_seconds, or lower delay_seconds")
	}
	b := t.Controls.PublishBudget
	switch {
	case b == nil:
	case t.Workspace != nil && t.Workspace.ReadOnly:
		warn("P5105", b.at, "publish_budget is ignored", "", "", "a task with read_only = True publishes nothing")
	default:
		least := b.LakeFSMergeTimeout + b.ConductorCompletionTimeout + b.WorkerShutdownGrace + b.HeartbeatInterval
		if timeout.ResponseSeconds < least {
			at := timeout.at
			if at.Line == 0 {
				at = b.at
			}
			warn("P5102", at, "timeout: a publication may outlive the lease", fmt.Sprintf("response_seconds = %d", timeout.ResponseSeconds),
				fmt.Sprintf("at least %d: merge timeout + completion timeout + shutdown grace + heartbeat interval of publish_budget", least), "raise response_seconds")
		}
	}
	return list
}
