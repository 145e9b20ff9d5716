package diag

// inputStories are the codes of what comes in and what goes out.
func inputStories() []Story {
	return []Story{
		{"P3002", "not a JSON object", "The input of a task, its `params` and its `workspace` are JSON objects.", "[]\n\n{\"params\": {}}"},
		{"P3003", "the envelope of the input", "A task with a workspace needs `workspace`: repository, branch, refType (\"commit\") and ref, a full commit id. A branch name or a short id would not pin what the task reads.", "{\"workspace\": {\"repository\": \"songs\", \"branch\": \"main\", \"refType\": \"commit\", \"ref\": \"main\"}, \"params\": {}}"},
		{"P3004", "no such repository or commit", "The server has no such repository, or the repository no such commit. A retry would get the same input, so the attempt fails for good.", ""},
		{"P3101", "not JSON", "The place in the text is in the message.", "{\"min_rows\": 05}\n\n{\"min_rows\": 5}"},
		{"P3102", "nested too deeply", "Params and results nest at most 200 deep.", ""},
		{"P3103", "a key that is there twice", "Readers of JSON disagree on which of the two values counts, so neither does here.", "{\"a\": 1, \"a\": 2}\n\n{\"a\": 2}"},
		{"P3104", "what the language cannot hold", "A number with a fraction or an exponent must be in the range of a float, and no number may have more than 1,000 characters. Thousands of keys that are chosen to collide in a hash table are refused too: they would stop a worker for seconds.", "{\"x\": 1e999}"},
		{"P3105", "a value of the wrong type", "The message starts with a JSON pointer to the value, then what was found and what is wanted. JSON types are taken strictly: \"5\" is no int. A number without a fraction is an int however it is written, 5.0 too. Of a union the nearest member is complained of. The value of a secret field is not shown.", "{\"min_rows\": \"5\"}      for field(int, ge = 1)\n\n{\"min_rows\": 5}"},
		{"P3106", "a required field is missing", "A field is required unless it has a default. optional(T) allows null and does not imply a default.", "schema(note = optional(str))      with {}\n\nschema(note = field(optional(str), default = None))"},
		{"P3107", "a field that is not declared", "Results are always closed; params are with strict_params = True, and drop what they do not know otherwise. The nearest declared field is proposed.", "return {\"row\": 3}      for schema(rows = int)\n\nreturn {\"rows\": 3}"},
		{"P3108", "a value that its field refuses", "The type is right, and a constraint of the field, its format or the list of its values says no. All complaints are listed, not only the first.", "{\"min_rows\": 0}      for field(int, ge = 1)\n\n{\"min_rows\": 1}"},
		{"P3109", "more complaints of the same value", "The first 100 are listed, the others counted, as far as the check went: it ends after 1,000.", ""},
		{"P3110", "an input that costs too much to check", "Params are read and checked before the body, in at most 10 seconds and 128 MiB of memory. Many small values take some 100 bytes each, an object 450. What is in fields with secret = True is at most 1 MiB. A retry would get the same input, so the attempt fails for good.", ""},
		{"P3201", "the body returned no object", "run returns a dict or a struct.", "return 3\n\nreturn {\"rows\": 3}"},
		{"P3202", "a result that JSON cannot hold", "A result is made of None, bools, numbers, strings, lists, and dicts and structs with string keys.", "return {\"at\": time.now()}\n\nreturn {\"at\": str(time.now())}"},
		{"P3203", "a number that is not finite", "JSON has no NaN and no infinity.", ""},
		{"P3204", "an int that floats cannot hold", "Many readers of JSON know floats only, which hold ints exactly up to 2^53. Return str(n) in a `str` field.", "return {\"id\": 1 << 60}\n\nreturn {\"id\": str(1 << 60)}"},
		{"P3205", "a result that is too large", "Results nest at most 200 deep and hold at most 16 MiB. Large ones belong in files of the workspace.", ""},
		{"P3301", "a guard before the body does not hold", "The input commit is not what the task needs. A retry would see the same commit, so the attempt fails for good, and the body did not run.", ""},
		{"P3302", "a guard after the body does not hold", "The body left the workspace otherwise than the task promises. Nothing is published.", ""},
	}
}
