package starlib

import (
	"bytes"
	"errors"
)

// CheckObject says whether a text is one JSON object that any reader can take: at
// most 200 deep, valid UTF-8, its numbers in the range of a float. It takes time
// as the text is long, and no memory beside it: for what a process says that is
// not trusted.
func CheckObject(text []byte) error {
	if !bytes.HasPrefix(text, []byte("{")) {
		return errors.New("not an object")
	}
	d := decoder[nothing]{text: string(text), build: nothingBuilder{}}
	if _, err := d.whole(); err != nil {
		return err
	}
	return nil
}

// nothing is what is made of a value that is only read.
type nothing struct{}

// nothingBuilder makes nothing of a text.
type nothingBuilder struct{}

func (nothingBuilder) word(any) nothing               { return nothing{} }
func (nothingBuilder) text(string) nothing            { return nothing{} }
func (nothingBuilder) array([]nothing) nothing        { return nothing{} }
func (nothingBuilder) object() objectBuilder[nothing] { return nothing{} }

func (nothingBuilder) number(literal string, whole bool) (nothing, *jsonError) {
	if reason := unfitNumber(literal, whole); reason != "" {
		return nothing{}, &jsonError{code: "P3104", reason: reason}
	}
	return nothing{}, nil
}

// twice is false: to know it takes memory, and EncodeResult has no such objects.
func (nothing) twice(string) bool   { return false }
func (nothing) set(string, nothing) {}
func (nothing) done() nothing       { return nothing{} }
