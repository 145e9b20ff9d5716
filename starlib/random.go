package starlib

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// The module random has generators that are seeded by hand, and no other: a
// body that is run again on the same commit has to draw the same numbers.
//
// The sequence is part of the language and does not change:
//   - The seed's text (an int in decimal, a string as it is, behind "int:" or
//     "string:") is hashed with SHA-256. The first 16 bytes are the two words,
//     big-endian, that PCG-DXSM is seeded with (math/rand/v2, NewPCG).
//   - A float in [0, 1) is the upper 53 bits of a word, divided by 2^53.
//   - An int below n is a word modulo n; words from the greatest multiple of n
//     on are thrown away.
//   - A normal number is one of Marsaglia's polar method, from two floats; its
//     twin is thrown away.

// generator draws pseudo-random numbers.
type generator struct {
	words  *rand.PCG
	seed   string
	frozen bool
}

var _ starlark.HasAttrs = (*generator)(nil)

func (g *generator) String() string        { return "random.seeded(" + diag.Shorten(g.seed) + ")" }
func (g *generator) Type() string          { return "generator" }
func (g *generator) Freeze()               { g.frozen = true }
func (g *generator) Truth() starlark.Bool  { return true }
func (g *generator) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: generator") }

var generatorMembers = sync.OnceValue(func() members { return membersOf(generatorMethods()) })

func (g *generator) Attr(name string) (starlark.Value, error) {
	return generatorMembers().attr(g, name)
}
func (g *generator) AttrNames() []string { return generatorMembers().names }

func randomBuiltins() []Builtin {
	return []Builtin{{Name: "random.seeded", Phase: Act, Returns: "generator", call: seeded,
		Params: []Param{{Name: "seed", Type: "int or string", Doc: "the same seed gives the same numbers, on every machine and in every version"}},
		Doc: "A generator of pseudo-random numbers. There is no other source of chance: an attempt that is made again has to give the same. " +
			"For numbers that differ from task to task, make the seed from params. Not for secrets.",
		Example: `random.seeded(7).randint(1, 6) == random.seeded(7).randint(1, 6)`}}
}

func generatorMethods() []Builtin {
	items := Param{Name: "items", Type: "list, tuple or range", Kind: Positional}
	float := func(name, preset, doc string) Param {
		return Param{Name: name, Type: "int or float", Default: preset, Doc: doc}
	}
	row := func(name, returns, doc string, params []Param, f func(*call, *generator) (starlark.Value, error)) Builtin {
		return Builtin{Name: "generator." + name, Phase: Act, Method: true, Returns: returns, Doc: doc, Params: params,
			call: func(c *call) (starlark.Value, error) {
				g := c.recv.(*generator)
				if g.frozen {
					return nil, &diag.Problem{Code: codeValue, Message: c.builtin.Name + ": the generator is frozen"}
				}
				return f(c, g)
			}}
	}
	return []Builtin{
		row("random", "float", "A float from 0 up to, and without, 1.", nil,
			func(_ *call, g *generator) (starlark.Value, error) { return starlark.Float(g.float()), nil }),
		row("uniform", "float", "A float between two, each part of the interval as likely as another of its length.",
			[]Param{float("low", "0.0", ""), float("high", "1.0", "")}, drawUniform),
		row("normal", "float", "A float of a normal distribution.",
			[]Param{float("mean", "0.0", ""), float("stdev", "1.0", "0 or more")}, drawNormal),
		row("randint", "int", "An int from low to high, both included.",
			[]Param{{Name: "low", Type: "int"}, {Name: "high", Type: "int", Doc: "not below low, and less than 2^63 above it"}}, drawInt),
		row("choice", "any", "One of the items. None at all is an error.", []Param{items}, drawChoice),
		row("sample", "list", "k of the items in a random order, each place of them at most once.",
			[]Param{items, {Name: "k", Type: "int", Doc: "0 to the number of items"}}, drawSample),
		row("shuffle", "None", "Puts the items of a list into a random order, in place.",
			[]Param{{Name: "items", Type: "list", Kind: Positional}}, shuffle),
	}
}

func seeded(c *call) (starlark.Value, error) {
	var text string
	switch seed := c.arg("seed").(type) {
	case starlark.Int:
		text = "int:" + seed.String()
	case starlark.String:
		text = "string:" + string(seed)
	default:
		return nil, c.wrongType("seed", seed)
	}
	sum := sha256.Sum256([]byte(text))
	return &generator{words: rand.NewPCG(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])),
		seed: c.arg("seed").String()}, nil
}

func (g *generator) float() float64 { return float64(g.words.Uint64()>>11) / (1 << 53) }

// below is an int from 0 up to, and without, n, which is above 0.
func (g *generator) below(n uint64) uint64 {
	limit := math.MaxUint64 - math.MaxUint64%n // a multiple of n
	for {
		if word := g.words.Uint64(); word < limit {
			return word % n
		}
	}
}

func drawUniform(c *call, g *generator) (starlark.Value, error) {
	low, high, err := c.twoNumbers("low", 0, "high", 1)
	if err != nil {
		return nil, err
	}
	return starlark.Float(low + float64((high-low)*g.float())), nil
}

func drawNormal(c *call, g *generator) (starlark.Value, error) {
	mean, stdev, err := c.twoNumbers("mean", 0, "stdev", 1)
	if err != nil {
		return nil, err
	}
	if stdev < 0 {
		return nil, c.refuse("stdev", starlark.Float(stdev).String(), "0 or more")
	}
	for {
		u, v := 2*g.float()-1, 2*g.float()-1
		s := float64(u*u) + float64(v*v)
		if s > 0 && s < 1 {
			return starlark.Float(mean + float64(stdev*float64(u*math.Sqrt(-2*math.Log(s)/s)))), nil
		}
	}
}

// twoNumbers are two finite arguments with what they are when they were left out.
func (c *call) twoNumbers(one string, first float64, other string, second float64) (float64, float64, error) {
	for _, p := range []struct {
		name string
		is   *float64
	}{{one, &first}, {other, &second}} {
		if c.arg(p.name) == nil {
			continue
		}
		x, err := c.number(p.name)
		if err != nil {
			return 0, 0, err
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return 0, 0, c.refuse(p.name, starlark.Float(x).String(), "a finite number")
		}
		*p.is = x
	}
	return first, second, nil
}

func drawInt(c *call, g *generator) (starlark.Value, error) {
	low, err := c.integer("low", 0)
	if err != nil {
		return nil, err
	}
	high, err := c.integer("high", 0)
	if err != nil {
		return nil, err
	}
	span := uint64(high) - uint64(low)
	if high < low || span >= 1<<63 {
		return nil, c.refuse("high", fmt.Sprint(high), fmt.Sprintf("%d or more, and less than 2^63 above it", low))
	}
	return starlark.MakeInt(low + int(g.below(span+1))), nil
}

// drawable is the argument items: what has a length and places.
func (c *call) drawable() (starlark.Indexable, error) {
	items, ok := c.arg("items").(starlark.Indexable)
	if _, isText := c.arg("items").(starlark.String); !ok || isText {
		p := c.wrongType("items", c.arg("items"))
		if isIterable(c.arg("items")) {
			p.Hint = "write list(...) around it"
		}
		return nil, p
	}
	return items, nil
}

func isIterable(v starlark.Value) bool {
	_, ok := v.(starlark.Iterable)
	return ok
}

func drawChoice(c *call, g *generator) (starlark.Value, error) {
	items, err := c.drawable()
	if err != nil {
		return nil, err
	}
	if items.Len() == 0 {
		return nil, c.noItem()
	}
	return items.Index(int(g.below(uint64(items.Len())))), nil
}

// drawSample is the beginning of a shuffle that is not carried to its end. Only
// the places that were swapped are kept, so that three of a long range cost three.
func drawSample(c *call, g *generator) (starlark.Value, error) {
	items, err := c.drawable()
	if err != nil {
		return nil, err
	}
	k, err := c.integer("k", 0)
	if err != nil {
		return nil, err
	}
	n := items.Len()
	if k < 0 || k > n {
		return nil, c.refuse("k", fmt.Sprint(k), fmt.Sprintf("0 to %d, the number of items", n))
	}
	if k > maxItems {
		return nil, c.refuse("k", fmt.Sprint(k), fmt.Sprintf("at most %d", maxItems))
	}
	moved := make(map[int]int) // place: which item is there instead of its own
	at := func(i int) int {
		if m, ok := moved[i]; ok {
			return m
		}
		return i
	}
	picked := make([]starlark.Value, 0, min(k, checkEvery))
	m := itemCounter{call: c}
	for i := range k {
		if err := m.tick(); err != nil {
			return nil, err
		}
		j := i + int(g.below(uint64(n-i)))
		picked = append(picked, items.Index(at(j)))
		moved[j] = at(i)
		delete(moved, i)
	}
	return starlark.NewList(picked), nil
}

func shuffle(c *call, g *generator) (starlark.Value, error) {
	list, ok := c.arg("items").(*starlark.List)
	if !ok {
		p := c.wrongType("items", c.arg("items"))
		p.Hint = "make a list of them first: rows = list(...)"
		return nil, p
	}
	m := itemCounter{call: c}
	for i := list.Len() - 1; i > 0; i-- {
		if err := m.tick(); err != nil {
			return nil, err
		}
		j := int(g.below(uint64(i + 1)))
		x, y := list.Index(i), list.Index(j)
		if err := list.SetIndex(i, y); err != nil {
			return nil, err
		}
		if err := list.SetIndex(j, x); err != nil {
			return nil, err
		}
	}
	return starlark.None, nil
}
