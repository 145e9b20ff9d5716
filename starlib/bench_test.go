package starlib_test

import (
	"strings"
	"testing"

	"perago/starlib"
	"perago/workspace"
)

// The rates of reading, in MB/s of the file.
func BenchmarkRead(b *testing.B) {
	row := "1234,\"two words\",3.5,four,,5\n"
	text := strings.Repeat(row, 200_000)
	object := strings.Repeat(`{"a": [1, 2.5, "three"], "b": null}`+"\n", 100_000)
	files := overlay(b, workspace.Spec{}, map[string]string{"t.csv": text, "t.jsonl": object})
	for name, src := range map[string]string{
		"lines":           `[0 for x in (workspace / "t.csv").lines()]`,
		"csv.reader":      `[0 for x in csv.reader(workspace / "t.csv")]`,
		"csv.dict_reader": `[0 for x in csv.dict_reader(workspace / "t.csv", header = ["a", "b", "c", "d", "e", "f"])]`,
		"json.lines":      `[0 for x in json.lines(workspace / "t.jsonl")]`,
		"json.decode":     `json.decode("[" + ",".join((workspace / "t.jsonl").read_text().splitlines()) + "]")`,
		"hash.sha256":     `hash.sha256(workspace / "t.csv")`,
	} {
		b.Run(name, func(b *testing.B) {
			size := len(text)
			if strings.HasPrefix(name, "json") {
				size = len(object)
			}
			b.SetBytes(int64(size))
			for b.Loop() {
				run := &starlib.Run{Context: b.Context(), Files: files}
				mustRun(b, run, src)
			}
		})
	}
}
