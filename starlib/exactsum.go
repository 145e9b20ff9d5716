package starlib

import (
	"math"
	"math/big"
)

// exactBits holds any sum of fewer than 2^60 floats, and of their squares,
// without rounding: exponents from -2148 to 2048, and 60 bits of carries.
const exactBits = 2148 + 2048 + 60

// exactSum adds floats without rounding. What has been added is the sum of
// partials, which do not overlap (Shewchuk, "Adaptive Precision Floating-Point
// Arithmetic", 1997; Python's math.fsum keeps its sum in the same way), and of
// rare, whose numbers are so large or small that arithmetic on floats could
// overflow or lose bits. The zero value is an empty sum.
type exactSum struct {
	partials []float64  // ascending, few: they cannot overlap
	rare     *big.Float // nil: none
	special  float64    // the sum of the infinities and NaNs that came
}

func (s *exactSum) add(x float64) {
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

// addSquare adds x*x.
func (s *exactSum) addSquare(x float64) { s.addProduct(x, x) }

func (s *exactSum) addProduct(x, y float64) {
	high := x * y
	if a := math.Abs(high); high != 0 && (a > 1e250 || a < 1e-250) || high == 0 && x != 0 && y != 0 {
		if !math.IsInf(x, 0) && !math.IsNaN(x) && !math.IsInf(y, 0) && !math.IsNaN(y) {
			exact := new(big.Float).SetPrec(106).SetFloat64(x)
			s.addRare(exact.Mul(exact, new(big.Float).SetFloat64(y)))
			return
		}
	}
	s.add(high)
	s.add(math.FMA(x, y, -high)) // what the product lost
}

func (s *exactSum) addRare(x *big.Float) {
	if s.rare == nil {
		s.rare = new(big.Float).SetPrec(exactBits)
	}
	s.rare.Add(s.rare, x)
}

// infinite says whether an infinity or NaN was added.
func (s *exactSum) infinite() bool { return s.special != 0 }

// float is the sum, rounded once.
func (s *exactSum) float() float64 {
	if s.infinite() {
		return s.special
	}
	total := s.exact()
	f, _ := total.Float64()
	return f
}

// exact is the sum as it is. There must be no infinity in it.
func (s *exactSum) exact() *big.Float {
	total := new(big.Float).SetPrec(exactBits)
	if s.rare != nil {
		total.Set(s.rare)
	}
	for _, x := range s.partials {
		total.Add(total, new(big.Float).SetFloat64(x))
	}
	return total
}

// rat is the sum as a fraction. There must be no infinity in it.
func (s *exactSum) rat() *big.Rat {
	r, _ := s.exact().Rat(nil)
	if r == nil {
		r = new(big.Rat)
	}
	return r
}
