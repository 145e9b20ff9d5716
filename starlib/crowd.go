package starlib

import "go.starlark.net/starlark"

// crowd watches the keys of one object. The interpreter hashes short strings
// without a secret, so that somebody can choose thousands for one slot of its
// table, each of which is then compared with all: 20,000 keys take seconds that
// no limit on steps sees.
type crowd struct {
	keys  int
	slots []uint32 // keys by the low bits of their hashes
}

const (
	crowdSlots = 1 << 12
	fewKeys    = 64  // of which nobody can make a crowd
	fullSlot   = 200 // keys in one slot, beyond four times the average
)

// collide counts one key. It says whether the keys are too crowded for chance.
func (c *crowd) collide(key string) bool {
	if c.keys++; c.keys <= fewKeys {
		return false
	}
	if c.slots == nil {
		c.slots = make([]uint32, crowdSlots)
	}
	h, _ := starlark.String(key).Hash() // strings have one
	slot := &c.slots[h%crowdSlots]
	*slot++
	return int(*slot) > fullSlot+4*c.keys/crowdSlots
}
