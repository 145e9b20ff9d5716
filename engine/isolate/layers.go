package isolate

import (
	"fmt"
	"strings"
)

// Layer is one thing that holds the child in.
type Layer struct {
	Name   string // "no files (Landlock)"
	Active bool
	Why    string // what it keeps the child from; when not Active, why it is missing
	// Covered is a layer that is not Active and needs not be: another one that is
	// refuses the same.
	Covered bool
}

// Missing are the layers that nothing stands in for.
func Missing(layers []Layer) []Layer {
	var missing []Layer
	for _, l := range layers {
		if !l.Active && !l.Covered {
			missing = append(missing, l)
		}
	}
	return missing
}

// MissingError is a child that is not held in as it has to be.
type MissingError struct{ Layers []Layer }

func (e *MissingError) Error() string {
	var each []string
	for _, l := range e.Layers {
		each = append(each, l.Name+": "+l.Why)
	}
	return fmt.Sprintf("isolation is required, and %d of its layers are missing: %s", len(each), strings.Join(each, "; "))
}
