package diag

import "strings"

// Story is what `perago explain` tells of a code.
type Story struct {
	Code    Code
	Title   string // a few words, lower case
	Text    string // why it is so, and what to do
	Example string // code that brings it about, and behind a blank line what to write instead; may be ""
}

// Stories are all codes, in order.
func Stories() []Story {
	return []Story{
		// Reading, parsing and loading a file.
		{"P1000", "too many errors in one file", "A file reports its first hundred errors. Mend those, and the others show.", ""},
		{"P1001", "syntax error", "The parser found something else than what can stand there. The caret is below the token at fault; what was expected is in the message. The parser stops at its first error, so there may be more behind it.", "rows = [1, 2, 3\nprint(rows)\n\nrows = [1, 2, 3]\nprint(rows)"},
		{"P1002", "a string without its end", "A string in single or double quotes ends on the line on which it starts. A text of several lines stands in three quotes.", "name = \"raw\n\nname = \"raw\""},
		{"P1003", "indentation", "A block is indented below the line that ends with `:`, by the same blanks in every line. Tabs count as up to eight columns, so do not mix them with spaces.", "def run(params):\nreturn {}\n\ndef run(params):\n    return {}"},
		{"P1004", "a number that is none", "Numbers are written 10, 0x1f, 0o17, 0b11, 1.5, 1e9. A leading zero, which Python refuses too, would leave open whether an octal number is meant.", "mode = 0755\n\nmode = 0o755"},
		{"P1005", "a character that means nothing", "Outside of strings and comments only letters, digits and the signs of the language may stand. Quotation marks, minus signs and spaces that come out of a word processor look right and are other characters.", "name = “raw”\n\nname = \"raw\""},
		{"P1006", "nested too deeply", "Brackets, operators and branches may nest and follow each other only so far: the interpreter walks them by recursion. Data that is written down as one huge expression belongs in a file of the workspace.", ""},
		{"P1007", "an escape that is none", "In a string a backslash starts one of the escapes \\n, \\t, \\\\, \\\", \\', \\xhh, \\uhhhh, \\Uhhhhhhhh and \\ooo. A regular expression is best written as a raw string, in which a backslash is only that.", "re.compile(\"\\d+\")\n\nre.compile(r\"\\d+\")"},
		{"P1008", "brackets that do not match", "Every bracket that is opened must be closed by its like. The line named is the one where it was opened.", "f(a, [b)\n\nf(a, [b])"},
		{"P1009", "a name that is too long", "A name has at most 200 bytes.", ""},

		// What is Python and not this language.
		{"P1101", "no f-strings", "Text is put together by format, by % or by +. Both take what stands behind the colon of an f-string: {:>10,.2f}, %10.2f.", "print(f\"{n} rows\")\n\nprint(\"{} rows\".format(n))\nprint(\"%d rows\" % n)"},
		{"P1102", "no try", "An error ends the body, and the attempt fails with the place and the stack. Where an error is to be survived, catch calls a function and tells how it went. It never hides fail_terminal, a limit or a cancel.", "try:\n    n = int(text)\nexcept ValueError:\n    n = 0\n\ngot = catch(int, text)\nn = got.value if got.ok else 0"},
		{"P1103", "no import", "All there is, is there: json, csv, re, hash, base64, math, time, log and the file API. Functions of your own come from other .star files by load. Python packages cannot be used.", "from lib.audio import duration\n\nload(\"lib/audio.star\", \"duration\")"},
		{"P1104", "no classes", "A struct holds named values; functions take it. The shape of params and result is declared by schema(...).", "class Point:\n    ...\n\ndef point(x, y):\n    return struct(x = x, y = y)"},
		{"P1105", "no with", "A file that the body opens is closed by close(), or by the attempt when the body ends. read_text, lines, write_text and the readers need no open at all.", "with open(\"a.txt\") as f:\n    text = f.read()\n\ntext = (workspace / \"a.txt\").read_text()"},
		{"P1106", "no while", "Every loop goes over something that has an end, so that a body cannot hang by mistake. A loop with an unknown number of rounds has a bound and a break.", "while not done:\n    step()\n\nfor _ in range(1000):\n    if done:\n        break\n    step()"},
		{"P1107", "no annotations", "The language has no types for names. The types of params and result are declared by schema(...), and checked.", "def run(params: Params) -> dict:\n    ...\n\ndef run(params):\n    ..."},
		{"P1108", "no is", "Values are compared by == and !=, None among them. Whether two names mean the same object cannot be asked.", "if x is None:\n    pass\n\nif x == None:\n    pass"},
		{"P1109", "no **", "The only use of ** is to spread a dict over keyword arguments. Powers are products or math.pow.", "area = r ** 2\n\narea = r * r"},
		{"P1110", "no raise", "fail(message) ends the attempt as FAILED, which Conductor retries as the task says. fail_terminal(message) ends it for good.", "raise ValueError(\"no rows\")\n\nfail_terminal(\"no rows\")"},
		{"P1111", "no yield", "A function returns a whole value. What is too large for that is streamed by lines(), csv.reader, csv.dict_reader and json.lines, or written to a file.", "def rows():\n    yield 1\n\ndef rows():\n    return [1]"},
		{"P1112", "no :=", "An assignment is a statement of its own.", "if (n := len(rows)) > 3:\n    pass\n\nn = len(rows)\nif n > 3:\n    pass"},
		{"P1113", "no chained comparisons", "Each comparison has two sides; `and` joins them.", "if 0 < x < 10:\n    pass\n\nif 0 < x and x < 10:\n    pass"},
		{"P1114", "no assert", "Test, and fail with a reason that helps the person who reads it in Conductor.", "assert rows, \"no rows\"\n\nif not rows:\n    fail(\"no rows\")"},
		{"P1115", "no del", "An element is removed by a method. A name cannot be removed.", "del d[\"a\"]\n\nd.pop(\"a\")"},
		{"P1116", "no global or nonlocal", "A function reads outer names and cannot bind them anew. It returns what it made, or changes a dict or a list that it was given.", "def count():\n    global n\n    n += 1\n\ndef count(totals):\n    totals[\"n\"] += 1"},
		{"P1117", "no async", "A body runs from its top to its end. Files that are read one after the other are fetched ahead without being asked.", "async def run(params):\n    ...\n\ndef run(params):\n    ..."},
		{"P1118", "no match", "Branches are if, elif and else.", "match kind:\n    case \"a\":\n        pass\n\nif kind == \"a\":\n    pass"},
		{"P1119", "print is a function", "Its record stands in the attempt's log, with the file and the line.", "print \"done\"\n\nprint(\"done\")"},
		{"P1120", "no set literals", "Braces make dicts. A set is made of a list.", "seen = {1, 2}\n\nseen = set([1, 2])"},
		{"P1121", "no generator expressions", "A comprehension stands in square brackets and makes a list.", "total = sum(x for x in xs)\n\nxs = [x for x in xs]"},
		{"P1122", "no else if", "It is one word.", "if a:\n    pass\nelse if b:\n    pass\n\nif a:\n    pass\nelif b:\n    pass"},
		{"P1123", "a string prefix that is none", "The prefixes are r for a raw string, b for bytes, and rb for both, in lower case.", "name = u\"raw\"\n\nname = \"raw\""},
		{"P1124", "a form of number that is none", "Numbers have neither `_` between their digits nor a suffix; ints have no bound; there are no complex ones.", "limit = 1_000_000\n\nlimit = 1000000"},
		{"P1125", "strings side by side", "Two literals behind each other are not joined: the missing comma of a list would go unnoticed.", "text = \"a\" \"b\"\n\ntext = \"a\" + \"b\""},
		{"P1126", "no decorators", "A function that wraps another is called by its name.", "@cached\ndef f(x):\n    ...\n\ndef f(x):\n    ...\ng = cached(f)"},
		{"P1127", "an operator of another language", "The words and, or and not join conditions; == and != compare; `a if c else b` chooses.", "if a && !b:\n    pass\n\nif a and not b:\n    pass"},
		{"P1128", "no ...", "A block in which nothing is to be done holds `pass`.", "def f():\n    ...\n\ndef f():\n    pass"},
		{"P1129", "a comment of another language", "A comment starts with # and goes to the end of its line.", "// rows\n\n# rows"},
		{"P1130", "a reserved word", "Some words are kept from being names, though they have no meaning here: as, async, await, class, del, except, finally, from, global, import, is, nonlocal, raise, try, with, yield, beside those that have one.", "from = params.start\n\nstart = params.start"},
		{"P1131", "no ++ and no --", "Counting is an assignment.", "i++\n\ni += 1"},
		{"P1132", "* and ** spread only arguments", "In a call, *args and **kwargs spread a list and a dict. In a list, in a dict and on the left of an assignment they cannot stand.", "all = [*a, *b]\n\nall = a + b"},

		// Names.
		{"P1200", "names", "The names of the file do not fit together as the message says.", ""},
		{"P1201", "a name that nothing defines", "A name is a parameter, is assigned, is loaded, or is one of the language's. The nearest such name is proposed. `workspace` and `params` are parameters of run: other functions get them handed on.", "def run(params):\n    retrun {}\n\ndef run(params):\n    return {}"},
		{"P1202", "a top-level name is bound twice", "What the top level binds stays as it is, so that every function sees the same value whenever it is called. `+=` is a second binding too.", "total = 1\ntotal = 2\n\nfirst = 1\nsecond = 2"},
		{"P1203", "if or for at the top level", "The top level declares, and what it declares must not depend on how it came about. Comprehensions, conditional expressions and functions do what is needed.", "for n in names:\n    fields[n] = str\n\nfields = {n: str for n in names}"},
		{"P1204", "return, break or continue out of place", "return stands in a function, break and continue in a loop.", ""},
		{"P1205", "the order of arguments", "Positional arguments come first, then keywords, then *args and **kwargs; each keyword once, and at most 255 of each kind.", "f(a = 1, 2)\n\nf(2, a = 1)"},
		{"P1206", "the order of parameters", "Parameters without a default come first, then those with one, then *args, then those by keyword only, then **kwargs; each name once.", "def f(a = 1, b):\n    pass\n\ndef f(b, a = 1):\n    pass"},
		{"P1207", "something that cannot be assigned to", "On the left of = stands a name, an element, or several of them. `+=` and its like take exactly one.", "len(x) = 3\n\nn = 3"},

		// The file, the files it loads, and the task it declares.
		{"P1301", "the file cannot be read", "There is no such file, or it may not be read.", ""},
		{"P1302", "not a file", "A task file is a plain file whose name ends in `.star`: no folder, no pipe, no device, no link to another kind of file.", ""},
		{"P1303", "the file is too large", "A task file holds at most 1 MiB. Tables and texts belong in files of the workspace, where they are streamed.", ""},
		{"P1304", "not UTF-8", "A task file is UTF-8, with or without a byte order mark. The message names the byte and its offset.", ""},
		{"P1305", "a NUL byte", "A text holds no NUL. Most likely the file is no text, or is UTF-16.", ""},
		{"P1401", "a load that leads nowhere it may", "A path to load is relative to the loading file, or, with `//`, to the root: --root, else the current directory when the file is inside it, else the file's folder. Only files `*.star` can be loaded, and no file or folder whose name starts with a dot. It may not lead out of the root, by `..` or by a symlink, and neither may the task file itself.", "load(\"../../other/names.star\", \"name\")\n\nload(\"//lib/names.star\", \"name\")"},
		{"P1402", "a file to load that is not there", "The nearest file of that folder is proposed.", "load(\"lib/audoi.star\", \"duration\")\n\nload(\"lib/audio.star\", \"duration\")"},
		{"P1403", "a loaded file has no such name", "A file gives what its own top level defines; what it loads itself is not passed on.", "load(\"lib/audio.star\", \"duratoin\")\n\nload(\"lib/audio.star\", \"duration\")"},
		{"P1404", "a private name", "Names that start with an underscore are their file's own.", "load(\"lib/audio.star\", \"_duration\")\n\nload(\"lib/audio.star\", \"duration\")"},
		{"P1405", "the form of load", "load takes the file and at least one name, as plain strings; `other = \"name\"` gives it another name here.", "load(\"lib/audio.star\")\n\nload(\"lib/audio.star\", \"duration\", seconds = \"duration_seconds\")"},
		{"P1406", "load inside of a function", "What a file loads is known before it runs, so load stands at the top level, outside of any block.", "def run(params):\n    load(\"lib/audio.star\", \"duration\")\n\nload(\"lib/audio.star\", \"duration\")"},
		{"P1407", "files that load each other", "The message shows the chain. Put what both need into a third file.", ""},
		{"P1408", "too many files", "One task file loads at most 499 others.", ""},
		{"P1409", "too many statements to count", "`perago test --coverage` counts at most 100,000 statements of one task file and what it loads.", ""},
		{"P1501", "no task", "The top level of a task file calls task(...) exactly once. The place shown is the end of the file.", "def run(params):\n    return {}\n\ntask(name = \"songs.count\", result = schema(n = int))\n\ndef run(params):\n    return {\"n\": 1}"},
		{"P1502", "the top level takes too long", "The top level declares; it has a bound of 10 million steps, a fraction of a second. Work belongs in run.", ""},
		{"P1503", "no body", "The body is the module's own `def run`: run(workspace, params) when the task declares a workspace, run(params) when it does not.", "task(name = \"songs.count\")\n\ntask(name = \"songs.count\")\n\ndef run(params):\n    return {}"},
		{"P1504", "a body that is not the module's own def", "run must be written as a def in the task file itself, not as a lambda or a loaded name. It may of course call what was loaded.", "run = lambda params: {}\n\ndef run(params):\n    return {}"},
		{"P1505", "the signature of run", "The declaration fixes it: run(workspace, params) when `workspace =` is given to task, run(params) when it is not. No other names, no defaults, no * and no **.", "def run(params, workspace):\n    ...\n\ndef run(workspace, params):\n    ..."},

		// task(...), and the calls of builtins.
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
		{"P2123", "a publish budget, or reuse, without a workspace", "A task without a workspace publishes nothing.", ""},

		// What comes in and what goes out.
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

		// Limits of a running body.
		{"P4001", "the limit of steps", "The body took more steps of the interpreter than resources(steps = ...) allows.", ""},
		{"P4002", "the limit of time", "The body ran longer than resources(seconds = ...), the task's timeout(seconds = ...) or the operator's PERAGO_BODY_SECONDS_MAX allows.", ""},
		{"P4003", "the limit of memory", "The body held more live memory than resources(memory = ...) or the operator's PERAGO_MEMORY_MAX allows. Stream what is large: lines(), csv.reader, json.lines.", "rows = [r for r in csv.reader(p)]\n\nfor r in csv.reader(p):\n    ..."},
		{"P4004", "the limit of the log", "One run may log 100,000 records and 16 MiB of text, 64 KiB in one record: a longer record is cut, more records end the body. Log a summary instead of every item.", ""},
		{"P4005", "the limit of the result", "A result is at most 3 MB of JSON; large results belong in files of the workspace.", ""},
		{"P4006", "a value that would be too large", "One operation would make a string, a list or an int beyond what one value may be: half of resources(memory = ...), or 256 MiB in thread mode; 1,048,576 bits for an int. It is refused before any of it is made.", "table = \"\\n\".join(rows)\npath.write_text(table)\n\ncsv.write(path, rows)"},
		{"P4009", "the limit of output", "The files that the attempt would publish have more bytes than resources(output = ...) allows, 10 GB where it says nothing. What is deleted does not count; a copy or a rename of a stored file counts whole, since the store copies it. Nothing was sent.", ""},
		{"P4010", "the body's process died", "The process that ran the body ended without an answer. What is known of it, the signal, the memory and the last builtin, is in the message. The worker and its other attempts go on.", ""},
		{"P4011", "a value nests too deep", "A walk over a value that nests millions deep exhausted the stack of the body's process.", ""},
		{"P4012", "the body's process broke the protocol", "The process that ran the body said something that makes no sense. It was ended.", ""},

		// The library.
		{"P4101", "a file that is not there, or not a file", "The path does not lead to what the call needs. exists(), is_file() and is_dir() ask before.", ""},
		{"P4102", "writing in a read-only workspace", "workspace_spec(read_only = True) allows no change.", ""},
		{"P4103", "a path that leads nowhere it may", "A path stays below the workspace: no empty, `.` or `..` part, not absolute, no backslash, no NUL.", "workspace / \"../other\"\n\nworkspace / \"other\""},
		{"P4104", "text that is not of its encoding", "read_text, lines and the readers want UTF-8, or what encoding = says; read_bytes takes anything. Writing in another encoding than UTF-8, a character that it does not have is this error too.", "csv.reader(path)\n\ncsv.reader(path, encoding = \"windows-1252\")"},
		{"P4105", "an open file used wrongly", "It was opened for something else, or it is closed.", ""},
		{"P4106", "a line without an end", "One line or record may hold at most 64 MiB.", ""},
		{"P4107", "no workspace", "The task declares none, so there are no files.", ""},
		{"P4108", "a file that could not be fetched or kept", "A server, the network or the disk failed while a file of the workspace was read or written; the cause is in the message. Another attempt may get further.", ""},
		{"P4110", "a text that is not JSON", "The message names the place.", ""},
		{"P4111", "a value that JSON cannot hold", "JSON holds None, bools, finite numbers, strings, lists, and dicts with string keys.", ""},
		{"P4112", "a file that is not CSV", "The message names the file, the line and what is wrong with it (RFC 4180).", ""},
		{"P4113", "a row that cannot be written", "A row is a list of strings, numbers, bools and None.", ""},
		{"P4114", "a pattern that is none", "Regular expressions are RE2, without look-around and back-references; in a glob ** is a whole part of the path.", ""},
		{"P4115", "not a time", "A time, a zone or a duration could not be read.", "time.parse(\"yesterday\")\n\ntime.parse(\"2026-01-31T12:00:00Z\")"},
		{"P4116", "a text that is not YAML", "The message names the place. One document of plain values is taken: a key stands once, and there are no tags of types that only one language has.", "yaml.decode(\"a: 1\\na: 2\\n\")\n\nyaml.decode(\"a: 2\\n\")"},
		{"P4117", "a text that is not TOML", "The message names the place. A key and a table stand once.", ""},
		{"P4118", "a schema that is none", "JSON Schema 2020-12, 2019-09, draft 7 or 6 is taken. The message names the place. Nothing is fetched, so `$ref` leads to a part of the same schema; patterns are RE2.", "{\"type\": \"str\"}\n\n{\"type\": \"string\"}"},
		{"P4119", "a value that its schema refuses", "jsonschema.validate names what is wrong, with the place in the value; jsonschema.errors gives all of it as a list.", ""},
		{"P4120", "too much for one call", "Too deep, too many or too large.", ""},
		{"P4121", "outside of what a function is defined for", "Such as the square root of a negative number.", ""},
		{"P4122", "compressed data that is none", "A file that is read as gzip or zstd, since its suffix or compression = says so, is cut off, damaged, or not compressed at all.", "path.lines()\n\npath.lines(compression = \"none\")"},
		{"P4123", "an archive that is none", "The file is no zip or tar, is damaged, or holds what a workspace cannot: a name that leads out of it, a link, a device. archive.write complains with it of a name or a content that cannot be written.", "for e in archive.entries(path):\n    ...\n\nfor e in archive.entries(path, skip_links = True):\n    ..."},
		{"P4130", "fail at the top level", "fail ends a body; at the top level it ends the loading of the file.", ""},
		{"P4140", "params has no such field", "The fields are those of schema(...); the nearest one is proposed. A key that is no name is reached by params[\"a-b\"].", "params.min_row\n\nparams.min_rows"},

		// `perago test`.
		{"P4150", "a method of t used wrongly", "A test called t.run, t.folder or one of the checks with arguments that do not fit.", "t.run(\"task.star\", workspace = [\"a.csv\"])\n\nt.run(\"task.star\", workspace = {\"a.csv\": \"id\\n1\\n\"})"},
		{"P4151", "a test that does not hold", "What came out is not what the test wants. The log of the test stands below the complaint.", ""},
		{"P4152", "a test of a task file that does not load", "The file that t.run names is itself wrong; `perago check` says more about it.", ""},
		{"P4153", "a run that a retry does not repeat", "`perago test --repeat` ran the body twice on the same input, the second time on a clock that is more than a year ahead, and another result or another file came out. Whoever retries such a task, or compares two of its runs, sees changes that are none.", "def run(params):\n    return {\"made\": str(time.now())}\n\ndef run(params):\n    return {\"made\": params.day}"},
		{"P4154", "a golden that cannot be written", "`perago test --update` could not make a golden what came out: a folder that may not be written to, or a full disk. The golden is as it was.", ""},

		// fail(...).
		{"P4160", "the body failed by itself", "fail(message): the attempt is FAILED, and Conductor retries it as the task says.", ""},
		{"P4161", "the body failed for good", "fail_terminal(message): the attempt is FAILED_WITH_TERMINAL_ERROR and is not retried.", ""},
		{"P4170", "a function of the program failed", "The program that runs this task gives it functions beside the language's own. One of them refused its arguments, or ended with the error in the message; catch() takes it.", ""},

		// sql(...) and table(...).
		{"P4180", "no tables", "This perago was built without cgo, and so without the engine that answers sql(...). Build it where there is a C compiler; `perago version` says whether tables are there.", ""},
		{"P4181", "a query that is not one SELECT", "The query does not parse, or asks for what a query may not: another statement than one SELECT, a file by its name, what the engine has beside the tables, or a function that gives another answer in every run.", "sql(\"SELECT * FROM 'raw/a.parquet' WHERE day < today()\")\n\nsql(\"SELECT * FROM t WHERE day < $today\", args = {\"today\": time.now()}, t = workspace / \"raw/a.parquet\")"},
		{"P4182", "a name or a type in a query that does not fit", "The query names a table, a column, a function or an argument that is not there, or uses values of types that do not go together. A text stands in single quotes, a name in double ones.", "sql(\"SELECT * FROM plays WHERE kind = \\\"live\\\"\", plays = p)\n\nsql(\"SELECT * FROM plays WHERE kind = 'live'\", plays = p)"},
		{"P4183", "data that does not fit its table", "A file is not of its format, or a value is not of the type of its column; table(..., columns = {...}) says the type, TRY_CAST in the query gives NULL for what does not fit.", ""},
		{"P4184", "a statement that takes too much", "The statement needs more memory than resources(memory = ...), and what is over it did not fit resources(scratch = ...) either.", ""},
		{"P4185", "the engine ended without an answer", "The process that answered the statement died. What the system says of it is in the message; the body and the worker go on.", ""},
		{"P4186", "a table that is none", "A table is a path, a list of paths of one format, table(...), a relation, or a list of dicts whose values have one type a column.", "sql(\"FROM t\", t = \"raw/a.csv\")\n\nsql(\"FROM t\", t = workspace / \"raw/a.csv\")"},
		{"P4187", "another number of rows or columns", "row() wants exactly one row, value() exactly one row of one column.", ""},

		// What the interpreter says of a body.
		{"P4200", "an error of the body", "The body, or a builtin that it called, ended with the error in the message.", ""},
		{"P4201", "an operator on types that it does not know", "Nothing is converted by itself: str(n) makes text of a number, int(s) and float(s) a number of a text.", "\"rows: \" + n\n\n\"rows: \" + str(n)"},
		{"P4202", "an order that does not exist", "Only values of one type are ordered: numbers, strings, lists of such.", "sorted([1, \"a\"])\n\nsorted([1, \"a\"], key = str)"},
		{"P4203", "no such attribute", "The value has no field or method of that name. Methods of Python that the language lacks get their own hint.", "xs.sort()\n\nxs = sorted(xs)"},
		{"P4204", "a key that is not in the dict", "d[key] wants the key to be there; d.get(key, default) does not.", ""},
		{"P4205", "an index out of range", "Indexes go from 0 to len(x) - 1, and from -1 backwards to -len(x).", ""},
		{"P4206", "several names for another number of values", "`a, b = x` wants exactly as many values as there are names.", ""},
		{"P4207", "a change of a frozen value", "What the top level made, what was loaded, and params are the same for every attempt, so nothing can change them. Work on a copy.", "SEEN = []\n\ndef run(params):\n    SEEN.append(1)\n\ndef run(params):\n    seen = []\n    seen.append(1)"},
		{"P4208", "a change during a loop over the same value", "A list, dict or set cannot change while a loop goes over it.", "for k in d:\n    d.pop(k)\n\nfor k in list(d):\n    d.pop(k)"},
		{"P4209", "something that cannot be looped over", "Lists, tuples, dicts, sets, ranges and streams can; strings only by elems(), split() or splitlines(), since it would be open what their parts are.", "for c in name:\n    ...\n\nfor c in name.elems():\n    ..."},
		{"P4210", "a call of something that is no function", "The value has parentheses behind it and is no function.", ""},
		{"P4211", "a call that does not fit the function", "The function is one of the file's own; its signature is in the message, and the place is that of the call.", ""},
		{"P4212", "a division by zero", "Of ints, of floats, or by `//` and `%`: test the divisor before.", ""},
		{"P4213", "a name that has no value yet", "A name that a function assigns is the function's own, from its first line on. A top-level name has its value from its line on.", "n = 1\n\ndef f():\n    n = n + 1\n\ndef f():\n    return n + 1"},
		{"P4214", "recursion", "A function cannot call itself, directly or through others, so that every body ends. Keep what is to be done in a list and loop.", ""},
		{"P4215", "a key that can change", "Keys of dicts and elements of sets are strings, numbers, bools, None, or tuples of such.", "d[[1, 2]] = 3\n\nd[(1, 2)] = 3"},
		{"P4216", "a format that does not fit", "The format is none, or its values are too few, too many or of another type. Both % and format are as in Python: %-8.2f and {:>10,.2f}, with widths and precisions up to 1000000.", "\"%d rows\" % \"5\"\n\n\"%s rows\" % \"5\""},
		{"P4217", "an argument of a function of the language", "The message names the argument, what it was and what it must be.", ""},
		{"P4218", "values too deep to compare", "Compare their parts.", ""},
		{"P4219", "a text that is no number", "int and float want a text that is a number, without anything else.", ""},
		{"P4220", "a number or a repetition that is too large", "A shift, a repetition or a conversion would make something larger than the interpreter holds.", ""},
		{"P4221", "a value that cannot be assigned into", "Lists and dicts can; strings, tuples and structs are fixed.", ""},
		{"P4222", "an index of a wrong kind", "Lists, tuples and strings are indexed by ints, dicts by their keys; other values have no elements.", ""},
		{"P4223", "a key that is there twice", "A dict literal gives each key once.", ""},
		{"P4224", "stopped", "The body was stopped from outside: a limit, a lost lease, a shutdown.", ""},
		{"P4225", "nothing there to take", "The list, dict or text holds no such thing.", ""},
		{"P4226", "join of something else than strings", "join takes strings only.", "\",\".join([1, 2])\n\n\",\".join([str(n) for n in [1, 2]])"},

		// What is around a body.
		{"P4901", "an error of the surroundings", "A server, the network or the disk. Calls that are safe to repeat were repeated; Conductor retries the attempt as the task says.", ""},
		{"P4902", "the branch moved", "Someone else published to the target branch after the input commit. Nothing was published; the message names both commits. A retry would get the same input, so the workflow has to pass a newer ref.", ""},
		{"P4903", "a lost race without the fence", "The target branch moved between the last look and the publication, and the repository has no fence. Both commits are on the branch. `perago doctor` tells how to install the fence.", ""},
		{"P4904", "the attempt is no longer current", "Conductor has given it up, or its lease could not be kept, or the worker was told to stop at once. Nothing was published.", ""},
		{"P4905", "it is not known whether the merge landed", "The server went away while the result was merged into the target branch, and could not be asked what became of it. A retry finds out: it adopts what landed, and makes sure that nothing lands late.", ""},
		{"P4906", "the result of an earlier publication is not valid", "The target branch has a commit that an earlier attempt of this task published, but the result recorded with it does not fit the task's result schema. Either the file was changed between the attempts, or the commit was made by someone else.", ""},
		{"P4999", "a fault of perago itself", "This should not happen. Please report it, with the file or the task's log.", ""},

		// Warnings: what is allowed and most likely not meant. `# perago: ignore=P5012`
		// at the end of a line, or alone on the line above it, silences one.
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
		{"P5028", "a table that the query does not name", "A keyword of sql gives a table that the query never reads, so its files are not fetched. Is it called otherwise in the query?", "sql(\"SELECT count(*) FROM t\", plays = p)\n\nsql(\"SELECT count(*) FROM plays\", plays = p)"},
		{"P5029", "sql in a perago without tables", "This perago was built without cgo, so sql(...) fails when it runs (P4180), and its queries are not looked at.", ""},
		{"P5101", "no owner", "A Conductor server may refuse a task without an owner's address.", "task(name = \"songs.count\", owner_email = \"data@example.com\")"},
		{"P5102", "a publication may outlive the lease", "response_seconds should be at least the merge timeout, the completion timeout, the shutdown grace and the heartbeat interval of publish_budget together.", ""},
		{"P5103", "the task is over before it counts as silent", "timeout(seconds = ...) is below response_seconds.", ""},
		{"P5104", "the longest delay is below the first", "retry(max_delay_seconds = ...) is below delay_seconds.", ""},
		{"P5105", "a publish budget of a read-only task", "It publishes nothing, so the budget is ignored.", ""},
	}
}

// Explain returns the story of a code; false when there is no such code.
func Explain(code Code) (Story, bool) {
	for _, s := range Stories() {
		if s.Code == code {
			return s, true
		}
	}
	return Story{}, false
}

// String is the story as `perago explain` prints it, a newline at its end.
func (s Story) String() string {
	var b strings.Builder
	b.WriteString(string(s.Code) + ": " + s.Title + "\n\n" + fold(s.Text, 78) + "\n")
	if s.Example != "" {
		b.WriteString("\n")
		for _, line := range strings.Split(s.Example, "\n") {
			if line != "" {
				line = "    " + line
			}
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// fold breaks a text between words into lines of at most width runes.
func fold(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
