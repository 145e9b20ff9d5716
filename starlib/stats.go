package starlib

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/exact"
)

// The module stats: functions that have the same names and results in Python's
// statistics or in NumPy.
// mean, variance, stdev and correlation add up in one pass without rounding
// (package exact), so that they give the float nearest to the true value, in any
// order of the items, and keep nothing of a stream. The others collect.

func statsBuiltins() []Builtin {
	over := func(doc string) Param {
		return Param{Name: "x", Type: "iterable of int or float", Kind: Positional, Doc: doc}
	}
	sample := Param{Name: "sample", Type: "bool", Default: "True", Kind: KeywordOnly,
		Doc: "True: the items are a sample, and the sum of squares is divided by n - 1. False: they are all there is, and it is divided by n"}
	return pure([]Builtin{
		{Name: "stats.mean", Params: []Param{over("")}, Returns: "float", call: statsMean,
			Doc: "The arithmetic mean. None at all is an error.", Example: `stats.mean([1, 2, 4, 5]) == 3.0`},
		{Name: "stats.median", Params: []Param{over("")}, Returns: "int or float", call: statsMedian,
			Doc:     "The middle item in order; of an even number of items the mean of the two in the middle. None at all is an error.",
			Example: `stats.median([5, 1, 2]) == 2`},
		{Name: "stats.quantile", Params: []Param{over(""), {Name: "q", Type: "float, or list of float", Doc: "from 0 to 1"}},
			Returns: "float, or list of float", call: statsQuantile,
			Doc: "The value below which the share q of the items lies, between two items in proportion, as NumPy's quantile does by default. " +
				"Of a list of shares, the list of values. None at all is an error.",
			Example: `stats.quantile([1, 2, 3, 4], [0.25, 0.5]) == [1.75, 2.5]`},
		{Name: "stats.variance", Params: []Param{over(""), sample}, Returns: "float", call: statsVariance,
			Doc: "The mean square of the distances from the mean. A sample has at least two items.", Example: `stats.variance([1, 3]) == 2.0`},
		{Name: "stats.stdev", Params: []Param{over(""), sample}, Returns: "float", call: statsStdev,
			Doc: "The square root of the variance. A sample has at least two items.", Example: `stats.stdev([1, 3], sample = False) == 1.0`},
		{Name: "stats.mode", Params: []Param{{Name: "x", Type: "iterable", Kind: Positional}}, Returns: "any", call: statsMode,
			Doc: "The item that is there most often, of several the one that came first. None at all is an error.", Example: `stats.mode(["a", "b", "b"]) == "b"`},
		{Name: "stats.correlation", Params: []Param{over(""), {Name: "y", Type: "iterable of int or float", Kind: Positional}},
			Returns: "float", call: statsCorrelation,
			Doc:     "Pearson's correlation of two series, from -1 to 1. They have the same length, at least 2, and neither is constant.",
			Example: `stats.correlation([1, 2, 3], [2, 4, 6]) == 1.0`},
		{Name: "stats.histogram", Params: []Param{over(""), {Name: "bins", Type: "int", Default: "10", Doc: "1 to 1,000,000"},
			{Name: "low", Type: "int or float", Default: "None", Doc: "where the first bin begins; by default the least item"},
			{Name: "high", Type: "int or float", Default: "None", Doc: "where the last bin ends; by default the greatest item"}},
			Returns: "struct(counts, edges)", call: statsHistogram,
			Doc: "How many items fall into each of `bins` intervals of one width, as NumPy's histogram says: `counts`, and one more of `edges`. " +
				"An interval holds its lower edge, and the last one its upper edge too. Items outside of low and high are not counted.",
			Example: `stats.histogram([1, 2, 2, 4], bins = 3).counts == [1, 2, 1]`},
	})
}

func (c *call) noItem() error {
	p := c.problem(codeValue, "there is no item")
	p.Hint = "ask `if items:` first"
	return p
}

// eachFinite calls f for every item as a float. An infinity or NaN would make
// every figure of the rest meaningless, so it is an error.
func (c *call) eachFinite(name string, f func(x float64) error) error {
	return c.eachNumber(name, func(i int, v starlark.Value) error {
		x, err := c.finite(i, v)
		if err != nil {
			return err
		}
		return f(x)
	})
}

// finiteItems are the items as floats.
func (c *call) finiteItems(name string) (xs []float64, err error) {
	err = c.eachFinite(name, func(x float64) error {
		if len(xs) >= maxItems {
			return c.problem(codeTooMuch, "too many items")
		}
		xs = append(xs, x)
		return nil
	})
	return xs, err
}

func (c *call) finite(i int, v starlark.Value) (float64, error) {
	x, err := finiteFloat(c, v)
	if err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
		p := c.problem(codeRange, "item %d", i)
		p.Found, p.Wanted, p.Hint = v.String(), "a finite number", "leave it out: [x for x in xs if math.isfinite(x)]"
		err = p
	}
	return x, err
}

// moments are the count and the exact sums of the items and of their squares.
type moments struct {
	n           int64
	sum, square exact.Sum
}

func (c *call) moments(name string) (moments, error) {
	var m moments
	err := c.eachFinite(name, func(x float64) error {
		m.n++
		m.sum.Add(x)
		m.square.AddSquare(x)
		return nil
	})
	return m, err
}

// scatter is the sum of the squares of the distances from the mean:
// (n*sum(x*x) - sum(x)^2) / n.
func (m *moments) scatter() *big.Rat {
	n := new(big.Rat).SetInt64(m.n)
	sum := m.sum.Rat()
	s := new(big.Rat).Mul(n, m.square.Rat())
	return s.Quo(s.Sub(s, new(big.Rat).Mul(sum, sum)), n)
}

func statsMean(c *call) (starlark.Value, error) {
	var sum exact.Sum
	n := int64(0)
	err := c.eachFinite("x", func(x float64) error {
		n++
		sum.Add(x)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, c.noItem()
	}
	mean, _ := new(big.Rat).Quo(sum.Rat(), new(big.Rat).SetInt64(n)).Float64()
	return starlark.Float(mean), nil
}

// spread is the variance as a fraction.
func (c *call) spread() (*big.Rat, error) {
	sample, err := c.boolean("sample", true)
	if err != nil {
		return nil, err
	}
	m, err := c.moments("x")
	if err != nil {
		return nil, err
	}
	by, least := m.n, int64(1)
	if sample {
		by, least = m.n-1, 2
	}
	if m.n < least {
		p := c.problem(codeValue, "there are too few items")
		p.Found, p.Wanted = fmt.Sprint(m.n), fmt.Sprintf("at least %d", least)
		return nil, p
	}
	return new(big.Rat).Quo(m.scatter(), new(big.Rat).SetInt64(by)), nil
}

func statsVariance(c *call) (starlark.Value, error) {
	v, err := c.spread()
	if err != nil {
		return nil, err
	}
	f, _ := v.Float64()
	if math.IsInf(f, 0) {
		return nil, c.problem(codeRange, "the result is beyond the range of a float")
	}
	return starlark.Float(f), nil
}

func statsStdev(c *call) (starlark.Value, error) {
	v, err := c.spread()
	if err != nil {
		return nil, err
	}
	return starlark.Float(root(v)), nil
}

// root is the float nearest to the square root of x.
func root(x *big.Rat) float64 {
	if x.Sign() == 0 {
		return 0
	}
	f := new(big.Float).SetPrec(256).SetRat(x)
	r, _ := f.Sqrt(f).Float64()
	return r
}

// sortedNumbers are the items in order.
func (c *call) sortedNumbers() ([]keyed, error) {
	var rows []keyed
	err := c.eachNumber("x", func(i int, v starlark.Value) error {
		if _, err := c.finite(i, v); err != nil {
			return err
		}
		if len(rows) >= maxItems {
			return c.problem(codeTooMuch, "too many items")
		}
		rows = append(rows, keyed{v, v})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, c.noItem()
	}
	return rows, c.sort(rows, false)
}

func statsMedian(c *call) (starlark.Value, error) {
	rows, err := c.sortedNumbers()
	if err != nil {
		return nil, err
	}
	high := rows[len(rows)/2].item
	if len(rows)%2 == 1 {
		return high, nil
	}
	sum, err := starlark.Binary(syntax.PLUS, rows[len(rows)/2-1].item, high)
	if err != nil {
		return nil, err
	}
	return starlark.Binary(syntax.SLASH, sum, starlark.MakeInt(2))
}

func statsQuantile(c *call) (starlark.Value, error) {
	var shares []float64
	many, isList := c.arg("q").(starlark.Iterable)
	share := func(v starlark.Value) error {
		q, ok := starlark.AsFloat(v)
		if !ok {
			return c.wrongType("q", v)
		}
		if !(0 <= q && q <= 1) {
			return c.refuse("q", v.String(), "a number from 0 to 1, such as 0.95")
		}
		shares = append(shares, q)
		return nil
	}
	err := error(nil)
	if isList {
		err = c.each(many, share)
	} else {
		err = share(c.arg("q"))
	}
	if err != nil {
		return nil, err
	}
	rows, err := c.sortedNumbers()
	if err != nil {
		return nil, err
	}
	values := make([]starlark.Value, len(shares))
	for i, q := range shares {
		at := q * float64(len(rows)-1)
		below := math.Floor(at)
		a, _ := starlark.AsFloat(rows[int(below)].item)
		b, _ := starlark.AsFloat(rows[min(int(below)+1, len(rows)-1)].item)
		values[i] = starlark.Float(between(a, b, at-below))
	}
	if !isList {
		return values[0], nil
	}
	return starlark.NewList(values), nil
}

// between is the point that lies the share t of the way from a to b. From the
// nearer end, as NumPy does it, so that t = 1 gives b.
func between(a, b, t float64) float64 {
	if t >= 0.5 {
		return b - float64((b-a)*(1-t))
	}
	return a + float64((b-a)*t)
}

func statsMode(c *call) (starlark.Value, error) {
	it, err := c.iterable("x")
	if err != nil {
		return nil, err
	}
	counts := new(starlark.Dict)
	if err := c.each(it, func(v starlark.Value) error { return c.countOne(counts, v) }); err != nil {
		return nil, err
	}
	var mode starlark.Value
	most := starlark.MakeInt(0)
	for v, n := range counts.Entries() {
		if more, _ := starlark.Compare(syntax.GT, n, most); more {
			mode, most = v, n.(starlark.Int)
		}
	}
	if mode == nil {
		return nil, c.noItem()
	}
	return mode, nil
}

func statsCorrelation(c *call) (starlark.Value, error) {
	xs, err := c.finiteItems("x")
	if err != nil {
		return nil, err
	}
	var x, y moments
	var products exact.Sum
	unequal := func(found string) error {
		p := c.problem(codeValue, "the two series differ in length")
		p.Found, p.Wanted = found, fmt.Sprintf("%d items of y, as of x", len(xs))
		return p
	}
	if err := c.eachFinite("y", func(v float64) error {
		if int(y.n) >= len(xs) {
			return unequal("more")
		}
		u := xs[y.n]
		x.n, y.n = x.n+1, y.n+1
		x.sum.Add(u)
		x.square.AddSquare(u)
		y.sum.Add(v)
		y.square.AddSquare(v)
		products.AddProduct(u, v)
		return nil
	}); err != nil {
		return nil, err
	}
	if int(y.n) < len(xs) {
		return nil, unequal(fmt.Sprint(y.n))
	}
	if y.n < 2 {
		return nil, c.problem(codeValue, "want at least two items of each")
	}
	sx, sy := x.scatter(), y.scatter()
	if sx.Sign() == 0 || sy.Sign() == 0 {
		return nil, c.problem(codeValue, "one of the series is constant, so they have no correlation")
	}
	n := new(big.Rat).SetInt64(y.n)
	joint := products.Rat()
	joint.Sub(joint, new(big.Rat).Quo(new(big.Rat).Mul(x.sum.Rat(), y.sum.Rat()), n))
	square := new(big.Rat).Mul(joint, joint)
	r := root(square.Quo(square, new(big.Rat).Mul(sx, sy)))
	if joint.Sign() < 0 {
		r = -r
	}
	return starlark.Float(r), nil
}

// statsHistogram counts as numpy.histogram does for bins of one width: by
// arithmetic first, and then mended where rounding put an item beyond an edge.
func statsHistogram(c *call) (starlark.Value, error) {
	bins, err := c.integer("bins", 10)
	if err != nil {
		return nil, err
	}
	if bins < 1 || bins > 1_000_000 {
		return nil, c.refuse("bins", fmt.Sprint(bins), "1 to 1000000")
	}
	xs, err := c.finiteItems("x")
	if err != nil {
		return nil, err
	}
	low, high := 0.0, 1.0
	if len(xs) > 0 {
		low, high = slices.Min(xs), slices.Max(xs)
	}
	for _, bound := range []struct {
		name string
		is   *float64
	}{{"low", &low}, {"high", &high}} {
		if v := c.arg(bound.name); v != nil && v != starlark.None {
			if *bound.is, err = c.number(bound.name); err != nil {
				return nil, err
			}
			if math.IsNaN(*bound.is) || math.IsInf(*bound.is, 0) {
				return nil, c.refuse(bound.name, v.String(), "a finite number")
			}
		}
	}
	if low > high {
		return nil, c.problem(codeValue, "`low` is above `high`: %v and %v", starlark.Float(low), starlark.Float(high))
	}
	if low == high {
		low, high = low-0.5, high+0.5
	}
	edges := make([]float64, bins+1)
	step := (high - low) / float64(bins)
	for i := range edges {
		edges[i] = low + float64(float64(i)*step)
	}
	edges[bins] = high
	counts := make([]int, bins)
	for _, x := range xs {
		if x < low || x > high {
			continue
		}
		i := min(int((x-low)/(high-low)*float64(bins)), bins-1)
		if x < edges[i] {
			i--
		} else if i < bins-1 && x >= edges[i+1] {
			i++
		}
		counts[i]++
	}
	countList, edgeList := make([]starlark.Value, bins), make([]starlark.Value, bins+1)
	for i, n := range counts {
		countList[i] = starlark.MakeInt(n)
	}
	for i, e := range edges {
		edgeList[i] = starlark.Float(e)
	}
	return newStruct("counts", starlark.NewList(countList), "edges", starlark.NewList(edgeList)), nil
}
