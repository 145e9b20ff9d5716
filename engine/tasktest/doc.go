// Package tasktest runs the tests that stand beside task files: `perago test`.
//
// A test file is named `*_test.star` and defines functions test_*(t). t runs a
// task on a workspace made for the test, from literals or from a fixture
// folder, through the whole pipeline of an attempt, and compares what comes out
// with what is expected:
//
//	def test_counts(t):
//	    got = t.run("count_rows.star", workspace = {"raw/a.csv": "id\n1\n2\n"})
//	    t.equal(got.status, "COMPLETED")
//	    t.equal(got.result["rows"], 2)
//	    t.equal(got.read("counts.csv"), "file,rows\nraw/a.csv,2\n")
//
//	tasktest.go    find the files, run their tests
//	t.go           t: run, folder, equal, close, ok, contains, fails
//	cases.go       t.cases
//	golden.go      t.golden, and how goldens are written
//	outcome.go     what t.run and t.folder return, and the files behind it
//	difference.go  what differs in two values, for people
//	repeat.go      runs a task a second time, as a retry would
//	covered.go     which statements ran
//	members.go     all of this in the form of the table of the language, for `check`
package tasktest
