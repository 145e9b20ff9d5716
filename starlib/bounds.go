package starlib

import (
	"fmt"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// The operators and string methods of the interpreter have no bound: one `*`
// makes 16 GiB, one replace() a product, and nothing looks at memory or at a
// cancel in between. Such an operation is refused before it starts, with its
// line, so that a body does not die in the middle of it. To get there, the
// loader rewrites what it compiles (boundstree.go):
//
//	a + b          (bounds + a) + b
//	a * b          (bounds * a) * (bounds * b)
//	a % b          (bounds % a) % b
//	a += b         a += ((in place + a) + b)
//	a %= b         a = (bounds % a) % b
//	a.join(b)      (bounds & a).join(b)
//
// bounds is a value with operators of its own. For a number, and for any type
// that cannot grow at once, `bounds + a` is a itself, so arithmetic pays a few
// nanoseconds and nothing else; for a string, a list and the like it is an
// operand, which looks at both sides before the interpreter's operator runs. The
// % of a string is ours altogether (formatpercent.go).

const (
	codeTooLarge diag.Code = "P4006" // one value would be larger than one may be

	// Names that cannot be written in a task file.
	boundsName  = "(bounds)"
	inPlaceName = "(bounds in place)"

	// maxValue bounds one value, in bytes, where nothing closer is set.
	maxValue = 256 << 20

	// maxBits bounds an int that * makes: multiplying takes more than linear time.
	maxBits = 1 << 20
)

// Bounds keeps what one operation makes within a size. It belongs to one module.
type Bounds struct {
	most    atomic.Int64 // bytes; 0 is maxValue
	largest atomic.Int64
}

// SetMost bounds one value, in bytes. It is for a process that runs one body:
// the bound holds for all bodies of the module.
func (b *Bounds) SetMost(bytes int64) { b.most.Store(bytes) }

// Most is the bound of one value, in bytes.
func (b *Bounds) Most() int64 {
	if most := b.most.Load(); most > 0 {
		return most
	}
	return maxValue
}

// Largest is the size of the largest value that was made, in bytes; sizes below
// half of the bound are not noted.
func (b *Bounds) Largest() int64 { return b.largest.Load() }

// Predeclare adds the names that rewritten trees use.
func (b *Bounds) Predeclare(names starlark.StringDict) {
	names[boundsName] = b
	names[inPlaceName] = inPlace{b}
	names[returnName] = starlark.NewBuiltin(returnName, returned)
}

func (b *Bounds) String() string        { return boundsName }
func (b *Bounds) Type() string          { return boundsName }
func (b *Bounds) Freeze()               {}
func (b *Bounds) Truth() starlark.Bool  { return true }
func (b *Bounds) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", boundsName) }

// Binary is what rewritten expressions begin with.
func (b *Bounds) Binary(op syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	if op == syntax.AMP {
		return withMethods(y, b), nil
	}
	switch v := y.(type) {
	case starlark.String:
		return &operand{y, b}, nil
	case starlark.Bytes, *starlark.List, starlark.Tuple:
		if op == syntax.PERCENT {
			return y, nil
		}
		return &operand{y, b}, nil
	case starlark.Int:
		if op == syntax.STAR {
			if _, small := v.Int64(); !small {
				return &operand{y, b}, nil
			}
		}
	}
	return y, nil
}

// allow says whether a value of that many bytes may be made.
func (b *Bounds) allow(what string, bytes int64) error {
	most := b.Most()
	if bytes > most {
		return &diag.Problem{Code: codeTooLarge, Message: "the " + what + " would be too large", Found: sizeText(bytes),
			Wanted: "at most " + sizeText(most), Hint: "work on one part at a time; a higher resources(memory = ...) raises this bound too"}
	}
	if bytes > most/2 && bytes > b.largest.Load() {
		b.largest.Store(bytes)
	}
	return nil
}

// sizeText writes a number of bytes for people.
func sizeText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// operand stands for one side of an operator that is about to run.
type operand struct {
	starlark.Value
	bounds *Bounds
}

// Binary holds the operation against the bounds, then lets the interpreter do it.
func (o *operand) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	x := o.Value
	if other, ok := y.(*operand); ok {
		y = other.Value
	}
	if side == starlark.Right {
		x, y = y, x
	}
	if format, ok := x.(starlark.String); ok && op == syntax.PERCENT {
		return (&formatter{bounds: o.bounds}).percent(string(format), y)
	}
	if err := o.bounds.check(op, x, y); err != nil {
		return nil, err
	}
	return starlark.Binary(op, x, y)
}

// check refuses an operation that would make too large a value.
func (b *Bounds) check(op syntax.Token, x, y starlark.Value) error {
	switch op {
	case syntax.PLUS:
		if what, unit := sequence(x); unit > 0 && sameKind(x, y) {
			return b.allow(what, (int64(starlark.Len(x))+int64(starlark.Len(y)))*unit)
		}
	case syntax.STAR:
		return b.checkTimes(x, y)
	}
	return nil
}

func (b *Bounds) checkTimes(x, y starlark.Value) error {
	n, ok := x.(starlark.Int)
	if !ok {
		x, y = y, x
		if n, ok = x.(starlark.Int); !ok {
			return nil
		}
	}
	if m, ok := y.(starlark.Int); ok {
		if bits := n.BigInt().BitLen() + m.BigInt().BitLen(); bits > maxBits {
			return &diag.Problem{Code: codeTooLarge, Message: "the int would be too large", Found: fmt.Sprintf("about %d bits", bits),
				Wanted: fmt.Sprintf("at most %d", maxBits)}
		}
		return nil
	}
	what, unit := sequence(y)
	times, fits := n.Int64()
	switch {
	case unit == 0 || n.Sign() <= 0 || starlark.Len(y) == 0:
		return nil
	case !fits || times > (1<<62)/(int64(starlark.Len(y))*unit):
		times = (1 << 62) / (int64(starlark.Len(y)) * unit)
	}
	return b.allow(what, int64(starlark.Len(y))*unit*times)
}

// sequence names a value that operators can make large, and says how many bytes
// an item of it takes; 0 for any other value.
func sequence(v starlark.Value) (what string, unit int64) {
	switch v.(type) {
	case starlark.String:
		return "string", 1
	case starlark.Bytes:
		return "bytes", 1
	case *starlark.List:
		return "list", 16
	case starlark.Tuple:
		return "tuple", 16
	}
	return "", 0
}

func sameKind(x, y starlark.Value) bool {
	a, _ := sequence(x)
	b, _ := sequence(y)
	return a == b
}

// before is `in place + x` in `x += ((in place + x) + y)`: it holds the operation
// that is about to run against the bounds, and is then y.
type before struct {
	starlark.Value
	bounds *Bounds
}

// Binary is never asked with a before on the right side.
func (p *before) Binary(op syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	return y, p.bounds.check(op, p.Value, y)
}

// inPlace is the value that augmented assignments begin with.
type inPlace struct{ *Bounds }

// Binary is a before where something may grow.
func (b inPlace) Binary(op syntax.Token, x starlark.Value, _ starlark.Side) (starlark.Value, error) {
	switch x.(type) {
	case starlark.String, starlark.Bytes, *starlark.List, starlark.Tuple:
		return &before{x, b.Bounds}, nil
	case starlark.Int:
		if op == syntax.STAR {
			return &before{x, b.Bounds}, nil
		}
	}
	return through{}, nil
}

// through is the before of what cannot grow.
type through struct{}

func (through) String() string        { return boundsName }
func (through) Type() string          { return boundsName }
func (through) Freeze()               {}
func (through) Truth() starlark.Bool  { return true }
func (through) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", boundsName) }

// Binary is the right side as it is.
func (through) Binary(_ syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	return y, nil
}
