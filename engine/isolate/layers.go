package isolate

// Layer is one thing that holds the child in.
type Layer struct {
	Name   string // "no files (Landlock)"
	Active bool
	Why    string // what it keeps the child from; when not Active, why it is missing
}
