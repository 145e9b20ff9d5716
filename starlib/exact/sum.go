package exact

import (
	"math"
	"math/big"
)

// sumBits holds any sum of fewer than 2^60 floats, and of their squares,
// without rounding: exponents from -2148 to 2048, and 60 bits of carries.
const sumBits = 2148 + 2048 + 60

// Sum adds floats without rounding. What has been added is the sum of
// partials, which do not overlap (Shewchuk, "Adaptive Precision Floating-Point
// Arithmetic", 1997; Python's math.fsum keeps its sum in the same way), and of
// rare, whose numbers are so large or small that arithmetic on floats could
// overflow or lose bits. The zero value is an empty sum.
type Sum struct {
	partials []float64  // ascending, few: they cannot overlap
	rare     *big.Float // nil: none
	special  float64    // the sum of the infinities and NaNs that came
}

// Add adds x.
func (s *Sum) Add(x float64) {
	switch {
	case math.IsInf(x, 0) || math.IsNaN(x):
		s.special += x
		return
	case math.Abs(x) > 1e290 || x != 0 && math.Abs(x) < 1e-290:
		s.addRare(new(big.Float).SetFloat64(x))
		return
	}
	kept := s.partials[:0]
	for _, y := range s.partials {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		low := y - (high - x)
		if low != 0 {
			kept = append(kept, low)
		}
		x = high
	}
	s.partials = append(kept, x)
}

// AddSquare adds x*x.
func (s *Sum) AddSquare(x float64) { s.AddProduct(x, x) }

// AddProduct adds x*y.
func (s *Sum) AddProduct(x, y float64) {
	high := x * y
	if a := math.Abs(high); high != 0 && (a > 1e250 || a < 1e-250) || high == 0 && x != 0 && y != 0 {
		if !math.IsInf(x, 0) && !math.IsNaN(x) && !math.IsInf(y, 0) && !math.IsNaN(y) {
			exact := new(big.Float).SetPrec(106).SetFloat64(x)
			s.addRare(exact.Mul(exact, new(big.Float).SetFloat64(y)))
			return
		}
	}
	s.Add(high)
	s.Add(math.FMA(x, y, -high)) // what the product lost
}

func (s *Sum) addRare(x *big.Float) {
	if s.rare == nil {
		s.rare = new(big.Float).SetPrec(sumBits)
	}
	s.rare.Add(s.rare, x)
}

// Infinite says whether an infinity or NaN was added.
func (s *Sum) Infinite() bool { return s.special != 0 }

// Float is the sum, rounded once.
func (s *Sum) Float() float64 {
	if s.Infinite() {
		return s.special
	}
	total := s.exact()
	f, _ := total.Float64()
	return f
}

// exact is the sum as it is. There must be no infinity in it.
func (s *Sum) exact() *big.Float {
	total := new(big.Float).SetPrec(sumBits)
	if s.rare != nil {
		total.Set(s.rare)
	}
	for _, x := range s.partials {
		total.Add(total, new(big.Float).SetFloat64(x))
	}
	return total
}

// Rat is the sum as a fraction. There must be no infinity in it.
func (s *Sum) Rat() *big.Rat {
	r, _ := s.exact().Rat(nil)
	if r == nil {
		r = new(big.Rat)
	}
	return r
}
