package diag

import "slices"

// syntaxStories are the codes of reading, parsing, resolving and loading a file.
func syntaxStories() []Story {
	return slices.Concat(readingStories(), habitStories(), nameStories(), loadStories())
}

func readingStories() []Story {
	return []Story{
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
	}
}

// habitStories are the Python habits.
func habitStories() []Story {
	return []Story{
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
	}
}

// nameStories are what the resolver finds.
func nameStories() []Story {
	return []Story{
		{"P1200", "names", "The names of the file do not fit together as the message says.", ""},
		{"P1201", "a name that nothing defines", "A name is a parameter, is assigned, is loaded, or is one of the language's. The nearest such name is proposed. `workspace` and `params` are parameters of run: other functions get them handed on.", "def run(params):\n    retrun {}\n\ndef run(params):\n    return {}"},
		{"P1202", "a top-level name is bound twice", "What the top level binds stays as it is, so that every function sees the same value whenever it is called. `+=` is a second binding too.", "total = 1\ntotal = 2\n\nfirst = 1\nsecond = 2"},
		{"P1203", "if or for at the top level", "The top level declares, and what it declares must not depend on how it came about. Comprehensions, conditional expressions and functions do what is needed.", "for n in names:\n    fields[n] = str\n\nfields = {n: str for n in names}"},
		{"P1204", "return, break or continue out of place", "return stands in a function, break and continue in a loop.", ""},
		{"P1205", "the order of arguments", "Positional arguments come first, then keywords, then *args and **kwargs; each keyword once, and at most 255 of each kind.", "f(a = 1, 2)\n\nf(2, a = 1)"},
		{"P1206", "the order of parameters", "Parameters without a default come first, then those with one, then *args, then those by keyword only, then **kwargs; each name once.", "def f(a = 1, b):\n    pass\n\ndef f(b, a = 1):\n    pass"},
		{"P1207", "something that cannot be assigned to", "On the left of = stands a name, an element, or several of them. `+=` and its like take exactly one.", "len(x) = 3\n\nn = 3"},
	}
}

// loadStories are about the file, the files it loads, and the task it declares.
func loadStories() []Story {
	return []Story{
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
		{"P1501", "no task", "The top level of a task file calls task(...) exactly once. The place shown is the end of the file.", "def run(params):\n    return {}\n\ntask(name = \"songs.count\", result = schema(n = int))\n\ndef run(params):\n    return {\"n\": 1}"},
		{"P1502", "the top level takes too long", "The top level declares; it has a bound of 10 million steps, a fraction of a second. Work belongs in run.", ""},
		{"P1503", "no body", "The body is the module's own `def run`: run(workspace, params) when the task declares a workspace, run(params) when it does not.", "task(name = \"songs.count\")\n\ntask(name = \"songs.count\")\n\ndef run(params):\n    return {}"},
		{"P1504", "a body that is not the module's own def", "run must be written as a def in the task file itself, not as a lambda or a loaded name. It may of course call what was loaded.", "run = lambda params: {}\n\ndef run(params):\n    return {}"},
		{"P1505", "the signature of run", "The declaration fixes it: run(workspace, params) when `workspace =` is given to task, run(params) when it is not. No other names, no defaults, no * and no **.", "def run(params, workspace):\n    ...\n\ndef run(workspace, params):\n    ..."},
	}
}
