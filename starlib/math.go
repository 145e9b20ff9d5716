package starlib

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/starlib/exact"
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
		{Name: "math.pow", Params: numbers("x", "y"), Doc: "x to the power of y.", call: mathTwo(exact.Pow)},
		{Name: "math.hypot", Params: numbers("x", "y"), Doc: "The square root of x*x + y*y.", call: mathTwo(math.Hypot)},
		{Name: "math.atan2", Params: numbers("y", "x"), Doc: "The angle of the point (x, y), in radians from -pi to pi.", call: mathTwo(exact.Atan2)},
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
		{"exp", exact.Exp, "e to the power of x."},
		{"sqrt", math.Sqrt, "The square root of x, which is 0 or more."},
		{"log2", exact.Log2, "The logarithm of x, which is above 0, to base 2."},
		{"log10", exact.Log10, "The logarithm of x, which is above 0, to base 10."},
		{"sin", exact.Sin, "The sine of x, in radians."},
		{"cos", exact.Cos, "The cosine of x, in radians."},
		{"tan", exact.Tan, "The tangent of x, in radians."},
		{"asin", exact.Asin, "The angle, in radians, that has this sine, from -1 to 1."},
		{"acos", exact.Acos, "The angle, in radians, that has this cosine, from -1 to 1."},
		{"atan", math.Atan, "The angle, in radians, that has this tangent."},
		{"sinh", exact.Sinh, "The hyperbolic sine of x."},
		{"cosh", exact.Cosh, "The hyperbolic cosine of x."},
		{"tanh", exact.Tanh, "The hyperbolic tangent of x."},
		{"asinh", math.Asinh, "The inverse hyperbolic sine of x."},
		{"acosh", math.Acosh, "The inverse hyperbolic cosine of x, which is 1 or more."},
		{"atanh", math.Atanh, "The inverse hyperbolic tangent of x, which is between -1 and 1."},
		{"degrees", func(x float64) float64 { return x * (180 / math.Pi) }, "An angle in radians, in degrees."},
		{"radians", func(x float64) float64 { return x * (math.Pi / 180) }, "An angle in degrees, in radians."},
		{"gamma", exact.Gamma, "The gamma function of x."},
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

// defined is the result of a function, or an error where the function is not
// defined: Python reports that too, and a NaN would be noticed only much later.
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
		return c.defined(exact.Log(x), x)
	}
	base, err := c.number("base")
	if err != nil {
		return nil, err
	}
	if base == 1 {
		return nil, c.refuse("base", "1", "another base: every power of 1 is 1")
	}
	return c.defined(exact.Log(x)/exact.Log(base), x, base)
}

// Functions of numbers that Python has as builtins or in its math module, and
// that give what they give there: sum, round, divmod, hex, oct, bin, and those
// of math that walk over several numbers.

func numberBuiltins() []Builtin {
	x := []Param{{Name: "x", Type: "int", Kind: Positional}}
	return pure([]Builtin{
		{Name: "sum", Params: []Param{{Name: "x", Type: "iterable of int or float", Kind: Positional},
			{Name: "start", Type: "int or float", Default: "0"}}, Returns: "int or float", call: sumOf,
			Doc: "The sum of the items and of start; an int when all of them are. Floats are added with compensation, as Python does since " +
				"3.12: the sum of ten times 0.1 is 1.0. A stream is added up as it comes. An item that is no number is an error.",
			Example: `sum([n * n for n in range(4)]) == 14`},
		{Name: "round", Params: []Param{{Name: "x", Type: "int or float", Kind: Positional},
			{Name: "digits", Type: "int", Default: "None", Doc: "behind the point; below 0, before it"}}, Returns: "int or float", call: roundTo,
			Doc: "x rounded as in Python: without digits the nearest int, with them a float (of an int, an int). Of two that are equally near " +
				"it is the even one, and what counts is the value that the float really has: 2.675 is a little less than it looks.",
			Example: "round(2.5) == 2\nround(2.675, 2) == 2.67"},
		{Name: "divmod", Params: []Param{{Name: "x", Type: "int or float", Kind: Positional}, {Name: "y", Type: "int or float", Kind: Positional}},
			Returns: "(int or float, int or float)", call: divideWithRest,
			Doc: "The quotient, rounded down, and the rest, which has the sign of y. Of ints both are ints. Division by zero is an error.", Example: `divmod(7, 2) == (3, 1)`},
		{Name: "hex", Params: x, Returns: "string", call: inBase(16, "0x"), Doc: "An int in base 16, with `0x` before it.", Example: `hex(255) == "0xff"`},
		{Name: "oct", Params: x, Returns: "string", call: inBase(8, "0o"), Doc: "An int in base 8, with `0o` before it."},
		{Name: "bin", Params: x, Returns: "string", call: inBase(2, "0b"), Doc: "An int in base 2, with `0b` before it."},
	})
}

func moreMathBuiltins() []Builtin {
	several := []Param{{Name: "ints", Type: "int", Kind: Rest}}
	rows := []Builtin{
		mathConstant("inf", math.Inf(1), "The infinity above every number; `-math.inf` is the one below."),
		mathConstant("nan", math.NaN(), "The float that is no number. Here it equals itself; ask math.isnan(x) all the same."),
		{Name: "math.gcd", Params: several, Returns: "int", call: gcd, Doc: "The greatest int that divides all of them; 0 for none at all.",
			Example: `math.gcd(12, 18) == 6`},
		{Name: "math.lcm", Params: several, Returns: "int", call: lcm,
			Doc: "The least int above 0 that all of them divide; 0 when one of them is 0, and 1 for none at all.", Example: `math.lcm(4, 6) == 12`},
		{Name: "math.isclose", Params: append(numbers("a", "b"),
			Param{Name: "rel_tol", Type: "int or float", Default: "1e-09", Kind: KeywordOnly, Doc: "share of the larger of the two"},
			Param{Name: "abs_tol", Type: "int or float", Default: "0.0", Kind: KeywordOnly, Doc: "at least this much apart is allowed; needed near 0"}),
			Returns: "bool", call: isClose, Doc: "Whether two numbers are within a tolerance of each other.",
			Example: `math.isclose(0.1 + 0.2, 0.3) == True`},
		{Name: "math.prod", Params: []Param{{Name: "x", Type: "iterable of int or float", Kind: Positional},
			{Name: "start", Type: "int or float", Default: "1", Kind: KeywordOnly}}, Returns: "int or float", call: productOf,
			Doc: "The product of the items and of start; an int when all of them are.", Example: `math.prod([2, 3, 7]) == 42`},
		{Name: "math.fsum", Params: []Param{{Name: "x", Type: "iterable of int or float", Kind: Positional}}, Returns: "float", call: preciseSumOf,
			Doc:     "The sum of the items as if nothing had been rounded on the way. A sum beyond the range of a float is an error.",
			Example: `math.fsum([1e100, 1, -1e100]) == 1.0`},
	}
	for i := range rows {
		rows[i].Phase = Pure
		if rows[i].Returns == "" {
			rows[i].Returns = "float"
		}
	}
	return rows
}

// item complains of item i of what a call walks over.
func (c *call) item(i int, got starlark.Value, wanted string) error {
	p := c.problem(codeType, "item %d", i)
	p.Found, p.Wanted = diag.TypeName(got), wanted
	switch got.(type) {
	case starlark.String:
		p.Hint = "int(text) or float(text) makes a number of a text"
	case starlark.NoneType:
		p.Hint = "leave out what is missing: [x for x in xs if x != None]"
	}
	return p
}

// eachNumber calls f for every item, which is an int or a float.
func (c *call) eachNumber(name string, f func(i int, v starlark.Value) error) error {
	it, err := c.iterable(name)
	if err != nil {
		return err
	}
	i := -1
	return c.iterate(it, func(v starlark.Value) error {
		i++
		switch v.(type) {
		case starlark.Int, starlark.Float:
			return f(i, v)
		}
		return c.item(i, v, "int or float")
	})
}

// anyNumber is an argument that is an int or a float, otherwise when it was left out.
func (c *call) anyNumber(name string, otherwise starlark.Value) (starlark.Value, error) {
	switch v := c.arg(name).(type) {
	case nil:
		return otherwise, nil
	case starlark.Int, starlark.Float:
		return v, nil
	default:
		return nil, c.wrongType(name, v)
	}
}

// sumOf adds ints exactly and, from the first float on, floats with Neumaier's
// compensation, which is what CPython does since 3.12.
func sumOf(c *call) (starlark.Value, error) {
	start, err := c.anyNumber("start", starlark.MakeInt(0))
	if err != nil {
		return nil, err
	}
	whole, isInt := start.(starlark.Int)
	var sum, lost float64
	if f, ok := start.(starlark.Float); ok {
		sum = float64(f)
	}
	err = c.eachNumber("x", func(i int, v starlark.Value) error {
		if n, ok := v.(starlark.Int); ok && isInt {
			whole = whole.Add(n)
			return nil
		}
		if isInt {
			isInt = false
			if sum, err = finiteFloat(c, whole); err != nil {
				return err
			}
		}
		x, err := finiteFloat(c, v)
		if err != nil {
			return err
		}
		next := sum + x
		if math.Abs(sum) >= math.Abs(x) {
			lost += (sum - next) + x
		} else {
			lost += (x - next) + sum
		}
		sum = next
		return nil
	})
	if err != nil {
		return nil, err
	}
	if isInt {
		return whole, nil
	}
	if lost != 0 && !math.IsInf(lost, 0) && !math.IsNaN(lost) {
		sum += lost
	}
	return starlark.Float(sum), nil
}

// finiteFloat is a number as a float; an int beyond its range is an error.
func finiteFloat(c *call, v starlark.Value) (float64, error) {
	f, ok := starlark.AsFloat(v)
	if _, isInt := v.(starlark.Int); isInt && (!ok || math.IsInf(f, 0)) {
		return 0, c.problem(codeRange, "an int is too large for a float")
	}
	return f, nil
}

func productOf(c *call) (starlark.Value, error) {
	product, err := c.anyNumber("start", starlark.MakeInt(1))
	if err != nil {
		return nil, err
	}
	err = c.eachNumber("x", func(i int, v starlark.Value) error {
		a, ok := product.(starlark.Int)
		b, ok2 := v.(starlark.Int)
		if ok && ok2 {
			if a.BigInt().BitLen()+b.BigInt().BitLen() > maxBits {
				p := c.problem(codeTooLarge, "the product is too large")
				p.Wanted = fmt.Sprintf("at most %d bits", maxBits)
				return p
			}
			product = a.Mul(b)
			return nil
		}
		x, err := finiteFloat(c, product)
		if err != nil {
			return err
		}
		y, err := finiteFloat(c, v)
		product = starlark.Float(x * y)
		return err
	})
	return product, err
}

func preciseSumOf(c *call) (starlark.Value, error) {
	var sum exact.Sum
	err := c.eachNumber("x", func(i int, v starlark.Value) error {
		x, err := finiteFloat(c, v)
		if err == nil {
			sum.Add(x)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	total := sum.Float()
	if math.IsInf(total, 0) && !sum.Infinite() {
		return nil, c.problem(codeRange, "the sum is beyond the range of a float")
	}
	return starlark.Float(total), nil
}

func roundTo(c *call) (starlark.Value, error) {
	x, err := c.anyNumber("x", nil)
	if err != nil {
		return nil, err
	}
	var digits int
	given := c.arg("digits") != nil && c.arg("digits") != starlark.None
	if given {
		if digits, err = c.integer("digits", 0); err != nil {
			return nil, err
		}
	}
	switch x := x.(type) {
	case starlark.Int:
		if digits >= 0 {
			return x, nil
		}
		n := x.BigInt()
		// 10 to the power of more digits than x has is more than twice x.
		if -digits > n.BitLen()/3+2 {
			return starlark.MakeInt(0), nil
		}
		return starlark.MakeBigInt(roundHalfEven(new(big.Rat).SetInt(n), -digits)), nil
	case starlark.Float:
		f := float64(x)
		if !given {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, c.refuse("x", x.String(), "a finite number")
			}
			whole, _ := big.NewFloat(math.RoundToEven(f)).Int(nil)
			return starlark.MakeBigInt(whole), nil
		}
		return c.roundFloat(f, digits)
	}
	return nil, nil
}

// roundFloat rounds the exact value of x, half to even.
func (c *call) roundFloat(x float64, digits int) (starlark.Value, error) {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0) || digits > 323: // no float has more digits behind the point that could be cut
		return starlark.Float(x), nil
	case digits < -308:
		return starlark.Float(math.Copysign(0, x)), nil
	case digits >= 0:
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', digits, 64), 64)
		if err != nil {
			return nil, c.problem(codeRange, "the result is beyond the range of a float")
		}
		return starlark.Float(rounded), nil
	}
	exact := new(big.Rat)
	exact.SetFloat64(x)
	rounded, _ := new(big.Float).SetInt(roundHalfEven(exact, -digits)).Float64()
	if math.IsInf(rounded, 0) {
		return nil, c.problem(codeRange, "the result is beyond the range of a float")
	}
	return starlark.Float(math.Copysign(rounded, x)), nil
}

// roundHalfEven is the multiple of 10^places that is nearest to x, of two the
// one whose count of 10^places is even.
func roundHalfEven(x *big.Rat, places int) *big.Int {
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	count := new(big.Rat).Quo(x, new(big.Rat).SetInt(unit))
	twice := new(big.Int).Lsh(count.Num(), 1)
	whole, rest := new(big.Int).DivMod(twice.Add(twice, count.Denom()), new(big.Int).Lsh(count.Denom(), 1), new(big.Int))
	if rest.Sign() == 0 && whole.Bit(0) == 1 { // exactly half: the division went up to an odd count
		whole.Sub(whole, big.NewInt(1))
	}
	return whole.Mul(whole, unit)
}

func divideWithRest(c *call) (starlark.Value, error) {
	x, err := c.anyNumber("x", nil)
	if err != nil {
		return nil, err
	}
	y, err := c.anyNumber("y", nil)
	if err != nil {
		return nil, err
	}
	if zero, _ := starlark.Equal(y, starlark.MakeInt(0)); zero {
		return nil, c.refuse("y", y.String(), "another number than 0")
	}
	rest, err := starlark.Binary(syntax.PERCENT, x, y)
	if err != nil {
		return nil, err
	}
	if _, isInt := rest.(starlark.Int); isInt {
		quotient, err := starlark.Binary(syntax.SLASHSLASH, x, y)
		return starlark.Tuple{quotient, rest}, err
	}
	a, err := finiteFloat(c, x)
	if err != nil {
		return nil, err
	}
	b, err := finiteFloat(c, y)
	if err != nil {
		return nil, err
	}
	// From the rest, as CPython does: a/b may round up to a whole number that
	// leaves no room for it.
	r := float64(rest.(starlark.Float))
	if r == 0 {
		r = math.Copysign(0, b) // the interpreter's has the sign of a
	}
	return starlark.Tuple{starlark.Float(math.Round((a - r) / b)), starlark.Float(r)}, nil
}

// inBase writes an int in a base, prefix before the digits.
func inBase(base int, prefix string) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		n, ok := c.arg("x").(starlark.Int)
		if !ok {
			return nil, c.wrongType("x", c.arg("x"))
		}
		digits := n.BigInt().Text(base)
		if rest, negative := strings.CutPrefix(digits, "-"); negative {
			return starlark.String("-" + prefix + rest), nil
		}
		return starlark.String(prefix + digits), nil
	}
}

// eachInt calls f for each of the arguments of a call that takes ints.
func (c *call) eachInt(f func(*big.Int) error) error {
	for i, v := range c.rest {
		n, ok := v.(starlark.Int)
		if !ok {
			p := c.problem(codeType, "argument %d", i+1)
			p.Found, p.Wanted = diag.TypeName(v), "int"
			return p
		}
		if err := f(n.BigInt()); err != nil {
			return err
		}
	}
	return nil
}

func gcd(c *call) (starlark.Value, error) {
	result := new(big.Int)
	err := c.eachInt(func(n *big.Int) error {
		result.GCD(nil, nil, result, new(big.Int).Abs(n))
		return nil
	})
	return starlark.MakeBigInt(result), err
}

func lcm(c *call) (starlark.Value, error) {
	result := big.NewInt(1)
	err := c.eachInt(func(n *big.Int) error {
		if n.Sign() == 0 || result.Sign() == 0 {
			result.SetInt64(0)
			return nil
		}
		n = new(big.Int).Abs(n)
		n.Quo(n, new(big.Int).GCD(nil, nil, result, n))
		if result.BitLen()+n.BitLen() > maxBits {
			p := c.problem(codeTooLarge, "the multiple is too large")
			p.Wanted = fmt.Sprintf("at most %d bits", maxBits)
			return p
		}
		result.Mul(result, n)
		return nil
	})
	return starlark.MakeBigInt(result), err
}

func isClose(c *call) (starlark.Value, error) {
	given := map[string]float64{"rel_tol": 1e-9, "abs_tol": 0}
	for _, name := range []string{"a", "b", "rel_tol", "abs_tol"} {
		if c.arg(name) == nil {
			continue
		}
		x, err := c.number(name)
		if err != nil {
			return nil, err
		}
		given[name] = x
		if strings.HasSuffix(name, "_tol") && !(x >= 0) {
			return nil, c.refuse(name, starlark.Float(x).String(), "0 or more")
		}
	}
	a, b := given["a"], given["b"]
	if a == b {
		return starlark.True, nil
	}
	if math.IsInf(a, 0) || math.IsInf(b, 0) {
		return starlark.False, nil
	}
	apart := math.Abs(a - b)
	near := apart <= math.Abs(given["rel_tol"]*b) || apart <= math.Abs(given["rel_tol"]*a) || apart <= given["abs_tol"]
	return starlark.Bool(near), nil
}
