package diag

// declarationStories are the codes of task(...) and of calling builtins.
func declarationStories() []Story {
	return []Story{
		{"P2001", "no TaskDef", "The task is declared, and yet Conductor's TaskDef cannot be made of it. The message says what stands in the way.", ""},
		{"P2002", "an act at the top level", "Loading has no effects: no file, no clock, no log. What acts can be called only while the body runs.", "now = time.now()\n\ndef run(params):\n    now = time.now()"},
		{"P2003", "a declaration in the body", "task, schema, field and their like describe the task before it runs; in the body there is nothing left to describe.", ""},
		{"P2004", "an unknown argument", "The builtin has no argument of that name. The nearest one is proposed.", "task(nmae = \"songs.count\")\n\ntask(name = \"songs.count\")"},
		{"P2005", "a missing argument", "The argument has no default, so it must be given.", "field()\n\nfield(str)"},
		{"P2006", "an argument given twice", "It was given by position and by keyword.", "field(str, type = int)\n\nfield(int)"},
		{"P2007", "too many arguments by position", "Some arguments can be given only by their keyword, so that a call says what it means.", "task(\"songs.count\")\n\ntask(name = \"songs.count\")"},
		{"P2008", "an argument of the wrong type", "The message names the argument, what it was and what it must be.", "retry(count = \"3\")\n\nretry(count = 3)"},
		{"P2009", "an argument of a wrong value", "The type is right and the value is not one that makes sense there.", ""},
		{"P2010", "no such member", "The module or value has no member of that name. The nearest one is proposed.", "json.loads(text)\n\njson.decode(text)"},
		{"P2102", "the name of the task", "Conductor's name for the task: not blank, no blanks at its ends, no slash, backslash or control character, at most 255 bytes.", "task(name = \"songs/count\")\n\ntask(name = \"songs.count\")"},
		{"P2103", "the owner's address", "An e-mail address: something, one @, something, without blanks.", "task(name = \"songs.count\", owner_email = \"data team\")\n\ntask(name = \"songs.count\", owner_email = \"data@example.com\")"},
		{"P2104", "a second task", "A file declares exactly one task. What two tasks share goes into a file that both load.", ""},
		{"P2105", "a task in a loaded file", "Only the file that is given to perago declares a task; a file that is loaded holds functions and values.", ""},
		{"P2106", "a number out of range", "The message names the argument and the bound.", "retry(count = 50)\n\nretry(count = 10)"},
		{"P2107", "a word that is none of the choices", "The argument takes one of a few fixed words, which the message lists.", "retry(logic = \"LINEAR\")\n\nretry(logic = \"LINEAR_BACKOFF\")"},
		{"P2108", "one of two that go together", "rate_limit_per_frequency and rate_limit_frequency_in_seconds mean something only together.", ""},
		{"P2109", "bounds that leave no value", "The lower bound is above the upper one.", "field(int, ge = 10, le = 1)\n\nfield(int, ge = 1, le = 10)"},
		{"P2110", "not a type", "A type is str, int, float, bool, dict, list, or what list_of, map_of, one_of, optional, union, anything, schema, datetime, date, uuid and field make.", "schema(tags = [str])\n\nschema(tags = list_of(str))"},
		{"P2111", "a constraint that does not fit the type", "ge, gt, le, lt and multiple_of are for numbers; min_length, max_length and pattern for strings; min_items, max_items and unique_items for lists.", "field(int, min_length = 3)\n\nfield(int, ge = 100)"},
		{"P2112", "a pattern that is no regular expression", "Patterns are RE2: matching takes linear time whatever the text, so there is no look-around and no back-reference.", "field(str, pattern = \"[a-z\")\n\nfield(str, pattern = \"[a-z]+\")"},
		{"P2113", "a default that its own field refuses", "A default is held against its field like any value.", "field(int, ge = 1, default = 0)\n\nfield(int, ge = 1, default = 1)"},
		{"P2114", "a default or an example that is not JSON", "Defaults and examples become part of the TaskDef, so they must be made of None, bools, numbers, strings, lists and dicts with string keys.", ""},
		{"P2115", "the members of one_of or union", "one_of takes strings, ints and bools, at least one and each once; union takes at least two types.", "one_of()\n\none_of(\"a\", \"b\")"},
		{"P2116", "a schema that is too large", "Types in types may nest 50 deep, and one schema may hold 10,000 of them.", ""},
		{"P2117", "the name of a field", "1 to 255 bytes of text.", ""},
		{"P2118", "the prefix of a workspace", "A folder of the repository, such as \"/\" or \"songs/raw\": no backslash, no slash at its end, no empty, `.` or `..` part.", "workspace_spec(prefix = \"songs/\")\n\nworkspace_spec(prefix = \"songs\")"},
		{"P2119", "the path of a guard", "Relative to the workspace: not empty, not absolute, no backslash, no drive, no empty, `.` or `..` part.", "require_file(\"/raw/a.csv\")\n\nrequire_file(\"raw/a.csv\")"},
		{"P2120", "a guard that cannot be", "Its pattern is none, or its counts contradict each other. In a pattern *, ? and [abc] stand within one part of the path, and ** is a whole part.", "require_glob(\"raw/**.csv\")\n\nrequire_glob(\"raw/**/*.csv\")"},
		{"P2121", "not a size", "A number and a unit: \"512MiB\", \"2GB\". KiB, MiB, GiB and KB, MB, GB mean the same, 1024-based.", "resources(memory = \"lots\")\n\nresources(memory = \"512MiB\")"},
		{"P2122", "a default that has no meaning", "Only a field of schema(...) can be left out, so only there a default means something.", "list_of(field(str, default = \"a\"))\n\nlist_of(str)"},
		{"P2123", "a publish budget without a workspace", "A task without a workspace publishes nothing.", ""},
	}
}
