package trace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Folder of the repository where publications keep their records.
const recordsFolder = "_perago/traces/"

// Record is how the files of a publication were made. It lies in the same commit.
type Record struct {
	Task   string          `json:"task"` // name of the TaskDef
	Key    string          `json:"key"`  // see Key
	Source string          `json:"source"`
	Params json.RawMessage `json:"params,omitempty"` // secrets left out
	Input  string          `json:"input"`            // the input commit
	Perago string          `json:"perago"`           // version of the program

	WorkflowID string    `json:"workflow_id,omitempty"`
	Reference  string    `json:"reference,omitempty"`
	TaskID     string    `json:"task_id,omitempty"`
	Retry      int       `json:"retry,omitempty"`
	Worker     string    `json:"worker,omitempty"`
	Time       time.Time `json:"time"`

	Result json.RawMessage `json:"result,omitempty"`
	Trace  *Trace          `json:"trace"`
}

// Key stands for what an attempt is apart from its workspace: the same key and the
// same answers give the same result. source is a hash of all source files, params
// the canonical JSON of the params.
func Key(language, source string, params json.RawMessage, prefix string) string {
	sum := sha256.New()
	for _, part := range []string{language, source, string(params), prefix} {
		fmt.Fprintf(sum, "%d\n%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// Path is where the record of a task and a key is kept in a repository.
func Path(task, key string) string {
	sum := sha256.Sum256([]byte(task))
	return recordsFolder + hex.EncodeToString(sum[:8]) + "/" + key + ".json"
}

// MarshalJSON gives a trace as Encode does.
func (t *Trace) MarshalJSON() ([]byte, error) { return t.Encode() }

// UnmarshalJSON reads what MarshalJSON gave, as Decode does.
func (t *Trace) UnmarshalJSON(data []byte) error {
	read, err := Decode(data)
	if err == nil {
		*t = *read
	}
	return err
}

// Encode gives the form that DecodeRecord reads.
func (r *Record) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return b.Bytes(), err
}

// MaxRecord bounds a record, in bytes: a worker decodes one whole.
const MaxRecord = 8 << 20

// DecodeRecord reads a record out of a commit that anyone may have made.
func DecodeRecord(data []byte) (*Record, error) {
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("record of a publication: %d bytes, at most %d are read", len(data), MaxRecord)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("record of a publication: %w", err)
	}
	if r.Trace == nil {
		return nil, errors.New("record of a publication: it has no trace")
	}
	return &r, nil
}
