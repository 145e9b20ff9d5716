package diag

import "slices"

// runStories are the codes of a running body and of what is around it.
func runStories() []Story {
	return slices.Concat(limitStories(), libraryStories(), testStories(), failStories(), interpreterStories(), surroundingStories())
}

func limitStories() []Story {
	return []Story{
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
	}
}

func testStories() []Story {
	return []Story{
		{"P4150", "a method of t used wrongly", "A test called t.run, t.folder or one of the checks with arguments that do not fit.", "t.run(\"task.star\", workspace = [\"a.csv\"])\n\nt.run(\"task.star\", workspace = {\"a.csv\": \"id\\n1\\n\"})"},
		{"P4151", "a test that does not hold", "What came out is not what the test wants. The log of the test stands below the complaint.", ""},
		{"P4152", "a test of a task file that does not load", "The file that t.run names is itself wrong; `perago check` says more about it.", ""},
	}
}

func failStories() []Story {
	return []Story{
		{"P4160", "the body failed by itself", "fail(message): the attempt is FAILED, and Conductor retries it as the task says.", ""},
		{"P4161", "the body failed for good", "fail_terminal(message): the attempt is FAILED_WITH_TERMINAL_ERROR and is not retried.", ""},
		{"P4170", "a function of the program failed", "The program that runs this task gives it functions beside the language's own. One of them refused its arguments, or ended with the error in the message; catch() takes it.", ""},
	}
}

func libraryStories() []Story {
	return []Story{
		{"P4101", "a file that is not there, or not a file", "The path does not lead to what the call needs. exists(), is_file() and is_dir() ask before.", ""},
		{"P4102", "writing in a read-only workspace", "workspace_spec(read_only = True) allows no change.", ""},
		{"P4103", "a path that leads nowhere it may", "A path stays below the workspace: no empty, `.` or `..` part, not absolute, no backslash, no NUL.", "workspace / \"../other\"\n\nworkspace / \"other\""},
		{"P4104", "text that is not UTF-8", "read_text, lines and the readers want UTF-8; read_bytes takes anything.", ""},
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
		{"P4120", "too much for one call", "Too deep, too many or too large.", ""},
		{"P4121", "outside of what a function is defined for", "Such as the square root of a negative number.", ""},
		{"P4130", "fail at the top level", "fail ends a body; at the top level it ends the loading of the file.", ""},
		{"P4140", "params has no such field", "The fields are those of schema(...); the nearest one is proposed. A key that is no name is reached by params[\"a-b\"].", "params.min_row\n\nparams.min_rows"},
	}
}

func interpreterStories() []Story {
	return []Story{
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
	}
}

func surroundingStories() []Story {
	return []Story{
		{"P4901", "an error of the surroundings", "A server, the network or the disk. Calls that are safe to repeat were repeated; Conductor retries the attempt as the task says.", ""},
		{"P4902", "the branch moved", "Someone else published to the target branch after the input commit. Nothing was published; the message names both commits. A retry would get the same input, so the workflow has to pass a newer ref.", ""},
		{"P4903", "a lost race without the fence", "The target branch moved between the last look and the publication, and the repository has no fence. Both commits are on the branch. `perago doctor` tells how to install the fence.", ""},
		{"P4904", "the attempt is no longer current", "Conductor has given it up, or its lease could not be kept, or the worker was told to stop at once. Nothing was published.", ""},
		{"P4905", "it is not known whether the merge landed", "The server went away while the result was merged into the target branch, and could not be asked what became of it. A retry finds out: it adopts what landed, and makes sure that nothing lands late.", ""},
		{"P4906", "the result of an earlier publication is not valid", "The target branch has a commit that an earlier attempt of this task published, but the result recorded with it does not fit the task's result schema. Either the file was changed between the attempts, or the commit was made by someone else.", ""},
		{"P4999", "a fault of perago itself", "This should not happen. Please report it, with the file or the task's log.", ""},
	}
}
