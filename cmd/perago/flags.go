package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"perago/starlib/diag"
)

// flagsFirst moves the flags of args before the files, and a "--" between them:
// the flag package stops at the first argument that is not a flag. What follows
// a "--" in args is files, whatever it looks like; "-" is a file.
func flagsFirst(fs *flag.FlagSet, args []string) ([]string, error) {
	var flags, files []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			files = append(files, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			files = append(files, arg)
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		f := fs.Lookup(name)
		if f == nil {
			if n := attachedNumber(fs, arg); n != "" {
				flags = append(flags, n)
				continue
			}
			return nil, unknownFlag(fs, arg)
		}
		flags = append(flags, arg)
		if hasValue || isSwitch(f) {
			continue
		}
		if i+1 == len(args) || args[i+1] == "--" {
			return nil, usageError("", "flag %s wants a value: %s", dashed(name), f.Usage)
		}
		i++
		flags = append(flags, args[i])
	}
	return append(append(flags, "--"), files...), nil
}

// attachedNumber reads -j4 as -j=4, the way make does.
func attachedNumber(fs *flag.FlagSet, arg string) string {
	if len(arg) > 2 && arg[1] != '-' && fs.Lookup(arg[1:2]) != nil && strings.Trim(arg[2:], "0123456789") == "" {
		return arg[:2] + "=" + arg[2:]
	}
	return ""
}

func unknownFlag(fs *flag.FlagSet, arg string) error {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	var known []string
	fs.VisitAll(func(f *flag.Flag) {
		if len(f.Name) > 1 { // a single letter is near to every other
			known = append(known, f.Name)
		}
	})
	hint := ""
	if near := diag.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %s?", dashed(near))
	}
	return usageError(hint, "unknown flag %s", dashed(diag.Shorten(name)))
}

// dashed is a flag as it is written in messages and help.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// isSwitch: the flag takes no value.
func isSwitch(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// asksForHelp: one of args, before any "--", is -h or --help.
func asksForHelp(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	return slices.ContainsFunc(args, func(a string) bool {
		return slices.Contains([]string{"-h", "--h", "-help", "--help"}, a)
	})
}

// choiceFlag adds a flag that takes one of a few words, the first by default.
func choiceFlag(fs *flag.FlagSet, name, usage string, words []string) *string {
	value := words[0]
	fs.Var(&choice{&value, words}, name, usage)
	return &value
}

type choice struct {
	value *string
	words []string
}

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return errors.New("want " + orList(c.words))
	}
	*c.value = s
	return nil
}

// countFlag adds a flag that takes a whole number, at least 1.
func countFlag(fs *flag.FlagSet, name, usage string, value int) *int {
	n := count(value)
	fs.Var(&n, name, usage)
	return (*int)(&n)
}

type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }

func (c *count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1<<16 {
		return errors.New("want a whole number from 1 to 65536")
	}
	*c = count(n)
	return nil
}

// orList is "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
