package workspace

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
)

// The form of a listing on disk: a line that names the form, a header, the
// pieces one after the other, and a checksum of all that, since a file of a
// crashed machine may have any content.

const listingMagic = "perago listing 3\n"

// castagnoli is made when it is first asked for: a check reads no listing.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errBadListing = errors.New("is not a listing")

// hiddenNames is what a listing has beside its objects, as JSON. Names that
// are not shown may be no text: they travel as bytes.
type hiddenNames struct {
	Left   []leftOut `json:"left"`
	Unseen [][]byte  `json:"unseen"`
}

type listingHeader struct {
	Total, Hidden, Records, Names, Left uint64
	Self                                uint64 // 0 or 1
}

func (l *listing) writeTo(w io.Writer) error {
	names := hiddenNames{Left: l.left}
	for _, p := range l.unseen {
		names.Unseen = append(names.Unseen, []byte(p))
	}
	left, err := json.Marshal(names)
	if err != nil {
		return err
	}
	h := listingHeader{
		Total: uint64(l.total), Hidden: uint64(l.hidden),
		Records: uint64(len(l.records)), Names: uint64(len(l.names)), Left: uint64(len(left)),
	}
	if l.self {
		h.Self = 1
	}
	sum := crc32.New(castagnoli())
	out := io.MultiWriter(w, sum)
	io.WriteString(sum, listingMagic)
	if _, err := io.WriteString(w, listingMagic); err != nil {
		return err
	}
	if err := binary.Write(out, binary.LittleEndian, h); err != nil {
		return err
	}
	for _, piece := range []string{l.records, l.names, string(left)} {
		if _, err := io.WriteString(out, piece); err != nil {
			return err
		}
	}
	return binary.Write(w, binary.LittleEndian, sum.Sum32())
}

// readListing reads what writeTo wrote; errBadListing for anything else.
func readListing(r io.Reader, size int64) (*listing, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	var h listingHeader
	headEnd := len(listingMagic) + binary.Size(h)
	if len(data) < headEnd+4 || !bytes.HasPrefix(data, []byte(listingMagic)) {
		return nil, errBadListing
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli()) != binary.LittleEndian.Uint32(data[len(body):]) {
		return nil, errBadListing
	}
	if _, err := binary.Decode(body[len(listingMagic):], binary.LittleEndian, &h); err != nil {
		return nil, errBadListing
	}
	body = body[headEnd:]
	if n := uint64(len(body)); h.Records > n || h.Names > n || h.Left > n || h.Records+h.Names+h.Left != n {
		return nil, errBadListing
	}
	l := &listing{
		records: string(body[:h.Records]),
		names:   string(body[h.Records : h.Records+h.Names]),
		hidden:  int(h.Hidden), total: int(h.Total), self: h.Self == 1,
	}
	var names hiddenNames
	if err := json.Unmarshal(body[h.Records+h.Names:], &names); err != nil {
		return nil, errBadListing
	}
	l.left = names.Left
	for _, p := range names.Unseen {
		l.unseen = append(l.unseen, string(p))
	}
	return l, nil
}
