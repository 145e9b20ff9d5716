package main

import (
	"encoding/xml"
	"io"
	"strings"
	"time"

	"perago/engine/tasktest"
	"perago/starlib/diag"
)

// testedFile is one test in the JSON report.
type testedFile struct {
	File        string    `json:"file"`
	Name        string    `json:"name"`
	Passed      bool      `json:"passed"`
	MS          float64   `json:"ms"`
	Diagnostics diag.List `json:"diagnostics"`
	Log         []string  `json:"log"`
	Wrote       []string  `json:"wrote,omitempty"` // files of goldens
}

type testSummary struct {
	Passed   int              `json:"passed"`
	Failed   int              `json:"failed"`
	Tests    []testedFile     `json:"tests"`
	Coverage *coverageSummary `json:"coverage,omitempty"`
}

func testReport(results []tasktest.Result) testSummary {
	s := testSummary{Tests: []testedFile{}}
	for _, r := range results {
		if r.Passed() {
			s.Passed++
		} else {
			s.Failed++
		}
		t := testedFile{r.File, r.Name, r.Passed(), milliseconds(r.Took), r.Failure, r.Log, r.Wrote}
		if t.Log == nil {
			t.Log = []string{}
		}
		s.Tests = append(s.Tests, t)
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// junitSuites is the root of a report in the format of JUnit, which CI servers read.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     float64     `xml:"time,attr"` // seconds
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Time    float64       `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(w io.Writer, results []tasktest.Result) error {
	var all junitSuites
	for _, r := range results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		c := junitCase{Name: r.Name, Class: r.File, File: r.File, Time: r.Took.Seconds(), Out: strings.Join(r.Log, "\n")}
		if c.Name == "" {
			c.Name = "load"
		}
		if !r.Passed() {
			var text strings.Builder
			diag.WriteText(&text, r.Failure, diag.TextOptions{})
			c.Failure = &junitFailure{Message: r.Failure[0].Line1(), Type: string(r.Failure[0].Code), Text: text.String()}
			s.Failures++
		}
		s.Tests++
		s.Time += r.Took.Seconds()
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
