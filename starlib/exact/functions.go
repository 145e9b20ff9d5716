// Package exact has sums and functions of floats that package math gives with an
// error of several units in the last place, or not at all: they are computed with
// more precision than a float has, and rounded once at the end.
package exact

import (
	"math"
	"math/big"
	"sync"
)

// twin is a number of about 106 bits: the sum of two floats, of which the second
// is less than half a unit in the last place of the first. Package math is several
// units off for logarithms of subnormals and of what is near 1, for powers, angles
// near a multiple of pi/2, and gamma.
type twin struct{ hi, lo float64 }

var (
	ln2         = twin{0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}
	perLn2      = twin{0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56}
	perLn10     = twin{0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57}
	halfLn2Pi   = twin{0x1.d67f1c864beb5p-1, -0x1.65b5a1b7ff5dfp-55}
	halfPi      = twin{0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54}
	halfPiThird = -0x1.f1976b7ed8fbcp-110 // what halfPi lacks

	// halfPiBits is pi/2 times 2^1248, enough for the largest float.
	halfPiBits = sync.OnceValue(func() *big.Int {
		n, _ := new(big.Int).SetString("1921fb54442d18469898cc51701b839a252049c1114cf98e804177d4c76273644a29410f31c6809bbdf2a33679a748636605614dbe4be286e9fc26adadaa3848bc90b6aecc4bcfd8de89885d34c6fdad617feb96de80d6fdbdc70d7f6b5133f4b5d3e4822f8963fcc9250cca3d9c8b67b8400f97142c77e0b31b4906c38aba734d22c7f51fa499ebf06caba47b9475b2c38c5e6ac410aa5773daa520e", 16)
		return n
	})
)

// sum2 is x + y without an error.
func sum2(x, y float64) twin {
	s := x + y
	b := s - x
	return twin{s, (x - (s - b)) + (y - b)}
}

func (x twin) add(y twin) twin {
	s := sum2(x.hi, y.hi)
	t := sum2(x.lo, y.lo)
	s = sum2(s.hi, s.lo+t.hi)
	return sum2(s.hi, s.lo+t.lo)
}

func (x twin) neg() twin { return twin{-x.hi, -x.lo} }

func (x twin) mul(y twin) twin {
	p := float64(x.hi * y.hi)
	return sum2(p, math.FMA(x.hi, y.hi, -p)+(float64(x.hi*y.lo)+float64(x.lo*y.hi)))
}

func (x twin) div(y twin) twin {
	q := x.hi / y.hi
	r := x.add(y.mul(twin{q, 0}).neg())
	q2 := r.hi / y.hi
	r = r.add(y.mul(twin{q2, 0}).neg())
	return sum2(q, q2).add(twin{r.hi / y.hi, 0})
}

func (x twin) float() float64 { return x.hi + x.lo }

// expLess1 is e**x - 1 for x up to 0.36 either way.
func expLess1(x twin) twin {
	s := twin{1, 0}
	for n := 24; n > 1; n-- { // 1 + x/2 (1 + x/3 (1 + ...))
		s = s.mul(x).div(twin{float64(n), 0}).add(twin{1, 0})
	}
	return s.mul(x)
}

// expTwin is e**x as m * 2**k, for x up to 1100 either way.
func expTwin(x twin) (m twin, k int) {
	n := math.RoundToEven(x.hi * perLn2.hi)
	rest := x.add(ln2.mul(twin{n, 0}).neg())
	return expLess1(rest).add(twin{1, 0}), int(n)
}

// logTwin is the natural logarithm of a positive, finite x as k*ln2 + m.
func logTwin(x float64) (m twin, k int) {
	f, k := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f, k = 2*f, k-1
	}
	// One step of Halley's method triples the digits.
	y := math.Log(f)
	e := expLess1(twin{y, 0})
	wrong := twin{f - 1, 0}.add(e.neg())
	step := wrong.mul(twin{2, 0}).div(e.add(twin{f + 1, 0}))
	return twin{y, 0}.add(step), k
}

func lnTwin(x float64) twin {
	m, k := logTwin(x)
	return ln2.mul(twin{float64(k), 0}).add(m)
}

// positive says whether x is above 0 and finite: the other cases are exact in package math.
func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }

// Log is the natural logarithm of x.
func Log(x float64) float64 {
	if !positive(x) {
		return math.Log(x)
	}
	return lnTwin(x).float()
}

// Log2 is the logarithm of x to base 2.
func Log2(x float64) float64 {
	if !positive(x) {
		return math.Log2(x)
	}
	m, k := logTwin(x)
	return twin{float64(k), 0}.add(m.mul(perLn2)).float()
}

// Log10 is the logarithm of x to base 10.
func Log10(x float64) float64 {
	if !positive(x) {
		return math.Log10(x)
	}
	return lnTwin(x).mul(perLn10).float()
}

// Exp is e**x.
func Exp(x float64) float64 {
	if !(math.Abs(x) < 1000) {
		return math.Exp(x)
	}
	m, k := expTwin(twin{x, 0})
	return math.Ldexp(m.float(), k)
}

// Pow is x**y.
func Pow(x, y float64) float64 {
	size := math.Abs(x)
	if !positive(size) || size == 1 || y == 0 || math.IsInf(y, 0) || math.IsNaN(y) || x < 0 && y != math.Trunc(y) {
		return math.Pow(x, y)
	}
	l := lnTwin(size)
	sign := 1.0
	if x < 0 && math.Mod(y, 2) != 0 {
		sign = -1
	}
	if about := l.hi * y; math.Abs(about) > 1000 {
		return sign * math.Exp(about)
	}
	m, k := expTwin(l.mul(twin{y, 0}))
	return math.Ldexp(sign*m.float(), k)
}

// Sinh is the hyperbolic sine of x.
func Sinh(x float64) float64 {
	size := math.Abs(x)
	switch {
	case size < 1e-9 || !(size < 1000):
		return math.Sinh(x)
	case size < 0.35:
		e := expLess1(twin{x, 0})
		return e.add(e.div(e.add(twin{1, 0}))).float() / 2
	}
	return math.Copysign(halfExp(size, -1), x)
}

// Cosh is the hyperbolic cosine of x.
func Cosh(x float64) float64 {
	if size := math.Abs(x); size < 1000 {
		return halfExp(size, 1)
	}
	return math.Cosh(x)
}

// Tanh is the hyperbolic tangent of x.
func Tanh(x float64) float64 {
	if size := math.Abs(x); size < 1e-9 || !(size < 20) {
		return math.Tanh(x)
	}
	if math.Abs(x) < 0.17 {
		e := expLess1(twin{2 * x, 0})
		return e.div(e.add(twin{2, 0})).float()
	}
	m, k := expTwin(twin{2 * x, 0})
	e := twin{math.Ldexp(m.hi, k), math.Ldexp(m.lo, k)}
	return e.add(twin{-1, 0}).div(e.add(twin{1, 0})).float()
}

// halfExp is (e**x + sign * e**-x) / 2 for x from 0 to 1000.
func halfExp(x, sign float64) float64 {
	m, k := expTwin(twin{x, 0})
	if k < 60 {
		down := math.Ldexp(sign, -2*k)
		m = m.add(twin{down, 0}.div(m))
	}
	return math.Ldexp(m.float(), k-1)
}

// quarter is x without the next multiple of pi/2, and the last two bits of which that is.
func quarter(x float64) (rest twin, n int) {
	if math.Abs(x) < 1<<20 {
		k := math.RoundToEven(x / halfPi.hi)
		p, q := float64(k*halfPi.hi), float64(k*halfPi.lo)
		rest = sum2(x, -p)
		rest = rest.add(sum2(-math.FMA(k, halfPi.hi, -p), -q))
		return rest.add(twin{-math.FMA(k, halfPi.lo, -q), -k * halfPiThird}), int(k) & 3
	}
	f, e := math.Frexp(x)
	whole := big.NewInt(int64(f * (1 << 53)))
	whole.Lsh(whole, uint(e-53+1248))
	half := halfPiBits()
	k, left := new(big.Int).DivMod(whole, half, new(big.Int))
	if new(big.Int).Lsh(left, 1).Cmp(half) > 0 {
		left.Sub(left, half)
		k.Add(k, big.NewInt(1))
	}
	r := new(big.Float).SetPrec(256).SetInt(left)
	r.SetMantExp(r, -1248)
	hi, _ := r.Float64()
	lo, _ := r.Sub(r, big.NewFloat(hi)).Float64()
	return twin{hi, lo}, int(k.And(k, big.NewInt(3)).Int64())
}

// turn is the sine and the cosine of x up to pi/4 either way, and a little more.
func turn(x twin) (sin, cos twin) {
	square := x.mul(x).neg()
	sin, cos = twin{1, 0}, twin{1, 0}
	for n := 14.0; n > 0; n-- {
		sin = sin.mul(square).div(twin{2 * n * (2*n + 1), 0}).add(twin{1, 0})
		cos = cos.mul(square).div(twin{2 * n * (2*n - 1), 0}).add(twin{1, 0})
	}
	return sin.mul(x), cos
}

// sinCos is the sine and the cosine of a finite x.
func sinCos(x float64) (sin, cos twin) {
	rest, n := quarter(x)
	sin, cos = turn(rest)
	switch n {
	case 1:
		return cos, sin.neg()
	case 2:
		return sin.neg(), cos.neg()
	case 3:
		return cos.neg(), sin
	}
	return sin, cos
}

// tiny says that x is its own sine and tangent, or has none.
func tiny(x float64) bool { return !(math.Abs(x) > 1e-9) || math.IsInf(x, 0) }

// Sin is the sine of x, in radians.
func Sin(x float64) float64 {
	if tiny(x) {
		return math.Sin(x)
	}
	sin, _ := sinCos(x)
	return sin.float()
}

// Cos is the cosine of x, in radians.
func Cos(x float64) float64 {
	if tiny(x) {
		return math.Cos(x)
	}
	_, cos := sinCos(x)
	return cos.float()
}

// Tan is the tangent of x, in radians.
func Tan(x float64) float64 {
	if tiny(x) {
		return math.Tan(x)
	}
	sin, cos := sinCos(x)
	return sin.div(cos).float()
}

// Asin is the angle, in radians, whose sine is x.
func Asin(x float64) float64 {
	if tiny(x) || math.Abs(x) >= 1 {
		return math.Asin(x)
	}
	y := math.Atan2(x, math.Sqrt((1-x)*(1+x)))
	sin, cos := sinCos(y) // one step of Newton's method
	return twin{y, 0}.add(twin{x, 0}.add(sin.neg()).div(cos)).float()
}

// Acos is the angle, in radians, whose cosine is x.
func Acos(x float64) float64 {
	if tiny(x) || math.Abs(x) >= 1 {
		return math.Acos(x)
	}
	y := math.Atan2(math.Sqrt((1-x)*(1+x)), x)
	sin, cos := sinCos(y)
	return twin{y, 0}.add(cos.add(twin{-x, 0}).div(sin)).float()
}

// Atan2 is the angle of the point (x, y), in radians. It keeps the sign of y where y/x is too small for a float.
func Atan2(y, x float64) float64 { return math.Copysign(math.Atan2(math.Abs(y), x), y) }

// Gamma is the gamma function: Stirling's series at 20 or more, brought down by the factors
// between.
func Gamma(x float64) float64 {
	if x != x || x > 171.7 || x < -190 || math.Abs(x) < 1e-300 || x <= 0 && x == math.Trunc(x) {
		return math.Gamma(x)
	}
	steps := max(0, math.Ceil(20-x))
	z := sum2(x, steps)
	down := twin{1, 0}.div(z)
	w := down.hi * down.hi
	series := (1./12 - w*(1./360-w*(1./1260-w*(1./1680-w*(1./1188-w*(691./360360-w*(1./156))))))) * down.hi
	log := lnTwin(z.hi).add(down.mul(twin{z.lo, 0}))
	m, k := expTwin(z.add(twin{-0.5, 0}).mul(log).add(z.neg()).add(halfLn2Pi).add(twin{series, 0}))
	for i := 0.0; i < steps; i++ {
		m = m.div(sum2(x, i))
		f, e := math.Frexp(m.hi) // so that nothing on the way is too large or too small
		m, k = twin{f, math.Ldexp(m.lo, -e)}, k+e
	}
	return math.Ldexp(m.float(), k)
}
