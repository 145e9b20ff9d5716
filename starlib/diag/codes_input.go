package diag

// inputStories are the codes of what comes in and what goes out.
func inputStories() []Story {
	return []Story{
		{"P3002", "not a JSON object", "The input of a task, its `params` and its `workspace` are JSON objects.", "[]\n\n{\"params\": {}}"},
		{"P3003", "the envelope of the input", "A task with a workspace needs `workspace`: repository, branch, refType (\"commit\") and ref, a full commit id. A branch name or a short id would not pin what the task reads.", "{\"workspace\": {\"repository\": \"songs\", \"branch\": \"main\", \"refType\": \"commit\", \"ref\": \"main\"}, \"params\": {}}"},
		{"P3004", "no such repository or commit", "The server has no such repository, or the repository no such commit. A retry would get the same input, so the attempt fails for good.", ""},
		{"P3101", "not JSON", "The place in the text is in the message.", "{\"min_rows\": 05}\n\n{\"min_rows\": 5}"},
		{"P3102", "nested too deeply", "Params and results nest at most 200 deep.", ""},
		{"P3103", "a key that is there twice", "Which of two values was meant cannot be known.", "{\"a\": 1, \"a\": 2}"},
		{"P3104", "a number that cannot be held", "A float must lie within what a double can hold.", "{\"x\": 1e999}"},
		{"P3105", "a value that its schema refuses", "The message starts with a JSON pointer to the value, then what was found and what is wanted. Types are strict: \"5\" is no int. All complaints are listed, not only the first.", "{\"min_rows\": 0}      for field(int, ge = 1)"},
		{"P3106", "a required field is missing", "A field is required unless it has a default. optional(T) allows null and does not imply a default.", ""},
		{"P3107", "a field that is not declared", "Results are always closed; params are with strict_params = True. The nearest declared field is proposed.", ""},
		{"P3108", "a value of the wrong type", "JSON types are taken strictly.", "{\"min_rows\": \"5\"}\n\n{\"min_rows\": 5}"},
		{"P3109", "too many complaints", "The first ones are listed.", ""},
		{"P3201", "the body returned no object", "run returns a dict or a struct.", "return 3\n\nreturn {\"rows\": 3}"},
		{"P3202", "a result that JSON cannot hold", "A result is made of None, bools, numbers, strings, lists, and dicts and structs with string keys.", "return {\"at\": time.now()}\n\nreturn {\"at\": str(time.now())}"},
		{"P3203", "a number that is not finite", "JSON has no NaN and no infinity.", ""},
		{"P3204", "an int that floats cannot hold", "Many readers of JSON know floats only, which hold ints exactly up to 2^53. Return str(n) in a `str` field.", "return {\"id\": 1 << 60}\n\nreturn {\"id\": str(1 << 60)}"},
		{"P3205", "a result that is too large", "Results nest at most 200 deep and hold at most 16 MiB. Large ones belong in files of the workspace.", ""},
		{"P3301", "a guard before the body does not hold", "The input commit is not what the task needs. A retry would see the same commit, so the attempt fails for good, and the body did not run.", ""},
		{"P3302", "a guard after the body does not hold", "The body left the workspace otherwise than the task promises. Nothing is published.", ""},
	}
}
