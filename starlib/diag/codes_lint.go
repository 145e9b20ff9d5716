package diag

// lintStories are warnings: what is allowed and most likely not meant.
// `# perago: ignore=P5012` at the end of a line, or alone on the line above it,
// silences one.
func lintStories() []Story {
	return []Story{
		{"P5001", "a params field that the body never reads", "Whoever starts the task must give a value that has no effect.", ""},
		{"P5002", "a field that params does not have", "The schema of the task has no such field, so this line fails when it runs. The nearest field is proposed.", "params.min_row\n\nparams.min_rows"},
		{"P5003", "a result key that the schema does not have", "The result is always closed, so this return fails when it runs.", "return {\"row\": 3}\n\nreturn {\"rows\": 3}"},
		{"P5004", "a result without a required field", "The schema of the result requires a field that this return does not give; or run ends without a return.", ""},
		{"P5005", "a return that is no object", "run returns a dict or a struct.", "return 3\n\nreturn {\"rows\": 3}"},
		{"P5006", "a loaded name that is not used", "Take it out of the load statement; when it was the only one, delete the statement.", ""},
		{"P5007", "code that is never reached", "It stands behind a return, a break, a continue, fail or fail_terminal.", ""},
		{"P5008", "a top-level name that is not used", "No function uses it, and a task file cannot be loaded for it. A name that starts with an underscore is left alone.", ""},
		{"P5009", "a name that hides one of the language's", "From here on the builtin of that name cannot be reached, which surprises the reader.", "list = [1, 2]\n\nitems = [1, 2]"},
		{"P5010", "a guard that can never hold", "Its pattern matches no name, or another guard of the same list forbids what it wants.", "pre = [require_file(\"raw/a.csv\"), forbid_glob(\"raw/**\")]"},
		{"P5011", "a guard that always holds", "It asks for at least 0 files and has no upper bound.", "require_glob(\"raw/*\", min_count = 0)\n\nrequire_glob(\"raw/*\")"},
		{"P5012", "a variable that is never read", "A name that starts with an underscore is left alone.", "for i in range(3):\n    f()\n\nfor _ in range(3):\n    f()"},
		{"P5013", "a name that looks like another", "It holds a letter that looks like one of the Latin alphabet and is another one, such as the Cyrillic а.", ""},
		{"P5014", "a line without effect", "Its value is dropped: a comparison where an assignment was meant, or a method that returns a new value and changes nothing.", "name.strip()\n\nname = name.strip()"},
		{"P5015", "a directive that means nothing", "A directive is `# perago: ignore=P5012`, or several codes with commas between them. Only P5xxx can be silenced.", ""},
		{"P5016", "a name that a module does not have", "The language's module has nothing of this name, so this line fails when it runs. The nearest name is proposed.", "csv.dict_raeder(path)\n\ncsv.dict_reader(path)"},
		{"P5017", "a member that a value does not have", "The value is of a type that has no such member, so this line fails when it runs. The nearest name is proposed, or what to write instead of what Python has.", "row.name\n\nrow[\"name\"]"},
		{"P5018", "a call that does not fit the function", "There are too many arguments or too few, one has no such name, or one is given twice; so this line fails when it runs.", "csv.write(path)\n\ncsv.write(path, rows)"},
		{"P5019", "values that do not go together", "The types are known here, and the language has no such operation on them, or the function takes no such argument; so this line fails when it runs. Texts of a CSV file are not numbers until int or float makes them so.", "row[\"plays\"] > 30\n\nint(row[\"plays\"]) > 30"},
		{"P5020", "a format that does not fit its values", "There are more or fewer values than the format wants, or a value is of another type.", "\"%d of %d\" % done\n\n\"%d of %d\" % (done, total)"},
		{"P5021", "a text that is not of its form", "A regular expression, a pattern of files, a path, a mode or a format of times that is written out and wrong.", "re.search(\"(\", text)\n\nre.search(\"\\\\(\", text)"},
		{"P5022", "a key that is there twice", "A dict that is written out holds each key once; this one fails when it runs.", "{\"a\": 1, \"a\": 2}"},
		{"P5023", "a test of a type that never holds", "type(x) is a text: \"string\", \"int\", \"float\", \"bool\", \"list\", \"dict\", \"tuple\", \"set\", \"NoneType\".", "type(x) == str\n\ntype(x) == \"string\""},
		{"P5024", "a result that is always None", "Methods that change a value in place return None.", "rows = rows.append(row)\n\nrows.append(row)"},
		{"P5025", "a write in a read-only workspace", "The task says `read_only = True`, so this line fails when it runs.", ""},
		{"P5026", "a function that calls itself", "There is no recursion. Keep what is still to be done in a list, and loop over range(n) with `break`.", ""},
		{"P5027", "a function of a test file that is no test", "Only functions whose names begin with `test_` are run, and this one takes `t` as they do and nobody calls it.", "def tset_rows(t):\n    ...\n\ndef test_rows(t):\n    ..."},
		{"P5101", "no owner", "A Conductor server may refuse a task without an owner's address.", "task(name = \"songs.count\", owner_email = \"data@example.com\")"},
		{"P5102", "a publication may outlive the lease", "response_seconds should be at least the merge timeout, the completion timeout, the shutdown grace and the heartbeat interval of publish_budget together.", ""},
		{"P5103", "the task is over before it counts as silent", "timeout(seconds = ...) is below response_seconds.", ""},
		{"P5104", "the longest delay is below the first", "retry(max_delay_seconds = ...) is below delay_seconds.", ""},
		{"P5105", "a publish budget of a read-only task", "It publishes nothing, so the budget is ignored.", ""},
	}
}
