package starlib

import (
	"math"
	"math/big"

	"go.starlark.net/starlark"
)

// mathBuiltins are the functions of floats.
func mathBuiltins() []Builtin {
	rows := []Builtin{
		mathConstant("pi", math.Pi, "The ratio of a circle's circumference to its diameter, 3.14159… as far as a float goes."),
		mathConstant("e", math.E, "The base of natural logarithms, 2.71828… as far as a float goes."),
		mathWhole("ceil", math.Ceil, "The least int that is not below x. An int is itself; an infinity or NaN is an error."),
		mathWhole("floor", math.Floor, "The greatest int that is not above x. An int is itself; an infinity or NaN is an error."),
		mathWhole("trunc", math.Trunc, "The int next to x towards zero. An infinity or NaN is an error."),
		mathWhole("round", math.RoundToEven, "The nearest int, of two the even one, as in Python. An infinity or NaN is an error."),
		{Name: "math.pow", Params: numbers("x", "y"), Doc: "x to the power of y.", call: mathTwo(exactPow)},
		{Name: "math.hypot", Params: numbers("x", "y"), Doc: "The square root of x*x + y*y.", call: mathTwo(math.Hypot)},
		{Name: "math.atan2", Params: numbers("y", "x"), Doc: "The angle of the point (x, y), in radians from -pi to pi.", call: mathTwo(exactAtan2)},
		{Name: "math.copysign", Params: numbers("x", "y"), Doc: "x with the sign of y.", call: mathTwo(math.Copysign)},
		{Name: "math.mod", Params: numbers("x", "y"), Doc: "What is left of x after whole times y; it has the sign of x.", call: mathTwo(math.Mod)},
		{Name: "math.remainder", Params: numbers("x", "y"), Doc: "The IEEE 754 remainder of x by y.", call: mathTwo(math.Remainder)},
		{Name: "math.log", Params: []Param{{Name: "x", Type: "int or float"}, {Name: "base", Type: "int or float", Default: "math.e"}},
			Doc: "The logarithm of x, which is above 0.", call: mathLog},
		{Name: "math.isnan", Params: numbers("x"), Returns: "bool", Doc: "Whether x is NaN.",
			call: mathTest(math.IsNaN)},
		{Name: "math.isinf", Params: numbers("x"), Returns: "bool", Doc: "Whether x is an infinity.",
			call: mathTest(func(x float64) bool { return math.IsInf(x, 0) })},
		{Name: "math.isfinite", Params: numbers("x"), Returns: "bool", Doc: "Whether x is neither an infinity nor NaN.",
			call: mathTest(func(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) })},
	}
	for _, f := range []struct {
		name string
		f    func(float64) float64
		doc  string
	}{
		{"fabs", math.Abs, "x without its sign, as a float."},
		{"exp", exactExp, "e to the power of x."},
		{"sqrt", math.Sqrt, "The square root of x, which is 0 or more."},
		{"log2", exactLog2, "The logarithm of x, which is above 0, to base 2."},
		{"log10", exactLog10, "The logarithm of x, which is above 0, to base 10."},
		{"sin", exactSin, "The sine of x, in radians."},
		{"cos", exactCos, "The cosine of x, in radians."},
		{"tan", exactTan, "The tangent of x, in radians."},
		{"asin", exactAsin, "The angle, in radians, that has this sine, from -1 to 1."},
		{"acos", exactAcos, "The angle, in radians, that has this cosine, from -1 to 1."},
		{"atan", math.Atan, "The angle, in radians, that has this tangent."},
		{"sinh", exactSinh, "The hyperbolic sine of x."},
		{"cosh", exactCosh, "The hyperbolic cosine of x."},
		{"tanh", exactTanh, "The hyperbolic tangent of x."},
		{"asinh", math.Asinh, "The inverse hyperbolic sine of x."},
		{"acosh", math.Acosh, "The inverse hyperbolic cosine of x, which is 1 or more."},
		{"atanh", math.Atanh, "The inverse hyperbolic tangent of x, which is between -1 and 1."},
		{"degrees", func(x float64) float64 { return x * (180 / math.Pi) }, "An angle in radians, in degrees."},
		{"radians", func(x float64) float64 { return x * (math.Pi / 180) }, "An angle in degrees, in radians."},
		{"gamma", exactGamma, "The gamma function of x."},
	} {
		rows = append(rows, Builtin{Name: "math." + f.name, Params: numbers("x"), Doc: f.doc, call: mathOne(f.f)})
	}
	for i := range rows {
		rows[i].Phase = Pure
		if rows[i].Returns == "" {
			rows[i].Returns = "float"
		}
	}
	return rows
}

// numbers are parameters of which each is a number.
func numbers(names ...string) []Param {
	params := make([]Param, len(names))
	for i, name := range names {
		params[i] = Param{Name: name, Type: "int or float"}
	}
	return params
}

func mathConstant(name string, x float64, doc string) Builtin {
	return Builtin{Name: "math." + name, Property: true, Doc: doc,
		call: func(*call) (starlark.Value, error) { return starlark.Float(x), nil }}
}

// mathWhole is a function from a number to an int.
func mathWhole(name string, f func(float64) float64, doc string) Builtin {
	return Builtin{Name: "math." + name, Params: numbers("x"), Returns: "int", Doc: doc,
		call: func(c *call) (starlark.Value, error) {
			if i, ok := c.arg("x").(starlark.Int); ok {
				return i, nil
			}
			x, err := c.number("x")
			if err != nil {
				return nil, err
			}
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, c.refuse("x", starlark.Float(x).String(), "a finite number")
			}
			i, _ := big.NewFloat(f(x)).Int(nil)
			return starlark.MakeBigInt(i), nil
		}}
}

// defined is the result of a function, an error when it has none for what it
// was given: Python says so too, and a NaN would travel far before it is seen.
func (c *call) defined(result float64, given ...float64) (starlark.Value, error) {
	for _, x := range given {
		if math.IsNaN(x) {
			return starlark.Float(result), nil
		}
	}
	if math.IsNaN(result) {
		return nil, c.problem(codeRange, "there is no such number for %v", starlark.Float(given[0]))
	}
	if math.IsInf(result, 0) {
		for _, x := range given {
			if math.IsInf(x, 0) {
				return starlark.Float(result), nil
			}
		}
		return nil, c.problem(codeRange, "the result for %v is beyond the range of a float", starlark.Float(given[0]))
	}
	return starlark.Float(result), nil
}

func mathOne(f func(float64) float64) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		x, err := c.number("x")
		if err != nil {
			return nil, err
		}
		return c.defined(f(x), x)
	}
}

// mathTwo is a function of the first parameter and the second.
func mathTwo(f func(a, b float64) float64) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		a, err := c.number(c.builtin.Params[0].Name)
		if err != nil {
			return nil, err
		}
		b, err := c.number(c.builtin.Params[1].Name)
		if err != nil {
			return nil, err
		}
		return c.defined(f(a, b), a, b)
	}
}

func mathTest(f func(float64) bool) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		x, err := c.number("x")
		return starlark.Bool(f(x)), err
	}
}

func mathLog(c *call) (starlark.Value, error) {
	x, err := c.number("x")
	if err != nil {
		return nil, err
	}
	if c.arg("base") == nil {
		return c.defined(exactLog(x), x)
	}
	base, err := c.number("base")
	if err != nil {
		return nil, err
	}
	if base == 1 {
		return nil, c.refuse("base", "1", "another base: every power of 1 is 1")
	}
	return c.defined(exactLog(x)/exactLog(base), x, base)
}
