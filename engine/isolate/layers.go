package isolate

import (
	"fmt"
	"strings"
)

// Layer is one layer of the isolation of a child.
type Layer struct {
	Name   string // "no files (Landlock)"
	Active bool
	Why    string // what it keeps the child from; when not Active, why it is missing
	// Covered: the layer is not Active and need not be, since an active one
	// refuses the same calls.
	Covered bool
}

// Missing returns the layers that are neither active nor covered.
func Missing(layers []Layer) []Layer {
	var missing []Layer
	for _, l := range layers {
		if !l.Active && !l.Covered {
			missing = append(missing, l)
		}
	}
	return missing
}

// MissingError is a child whose isolation lacks required layers.
type MissingError struct{ Layers []Layer }

func (e *MissingError) Error() string {
	var each []string
	for _, l := range e.Layers {
		each = append(each, l.Name+": "+l.Why)
	}
	return fmt.Sprintf("isolation is required, and %d of its layers are missing: %s", len(each), strings.Join(each, "; "))
}
