module perago/e2e

go 1.26.4

require (
	github.com/gofrs/flock v0.13.1
	perago v0.0.0
)

require golang.org/x/sys v0.49.0 // indirect

replace perago => ..
