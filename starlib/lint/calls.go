package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
	"perago/workspace/glob"
	"perago/workspace/paths"
)

// sure finds what cannot but fail when it runs.
func (f *inference) sure(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.DotExpr:
		f.checkMember(n)
	case *syntax.CallExpr:
		f.checkCall(n)
	case *syntax.BinaryExpr:
		if n.Op != syntax.EQ {
			f.checkBinary(n, n.Op, n.OpPos)
			f.checkFormat(n)
			f.checkJoin(n)
			f.checkZero(n, n.Op, n.OpPos, n.Y)
		}
	case *syntax.AssignStmt:
		if n.Op != syntax.EQ {
			f.checkBinary(&syntax.BinaryExpr{X: n.LHS, Op: n.Op - syntax.PLUS_EQ + syntax.PLUS, Y: n.RHS}, n.Op-syntax.PLUS_EQ+syntax.PLUS, n.OpPos)
			f.checkZero(n, n.Op-syntax.PLUS_EQ+syntax.PLUS, n.OpPos, n.RHS)
		} else {
			f.checkUnpack(n)
		}
		f.checkStore(n)
	case *syntax.ForStmt:
		f.checkLoop(n.X)
	case *syntax.ForClause:
		f.checkLoop(n.X)
	case *syntax.IndexExpr:
		f.checkIndex(n)
	case *syntax.DictExpr:
		f.checkKeys(n)
	case *syntax.DefStmt:
		f.checkRecursion(n)
	case *syntax.UnaryExpr:
		if t := f.of(n.X); n.X != nil && n.Op == syntax.MINUS && t.named(fixed...) && !slices.ContainsFunc(t, func(k kind) bool { return k.name == "int" || k.name == "float" }) {
			f.says(n.OpPos, "P5019", "unknown unary op: - %s", t.typeOf())
		}
	}
}

// fail adds an error: what it says is certain, should the line be reached.
func (l *linter) fail(pos syntax.Position, code diag.Code, message, hint string) *diag.Diagnostic {
	d := l.warn(pos, code, message, hint)
	d.Severity = diag.Error
	return d
}

// says adds what the interpreter will say, in the words that its error gets.
func (l *linter) says(pos syntax.Position, code diag.Code, format string, args ...any) *diag.Diagnostic {
	said := diag.Reworded(fmt.Sprintf(format, args...))
	d := l.fail(pos, code, said.Message, said.Hint)
	d.Found, d.Wanted = said.Found, said.Wanted
	return d
}

// typeOf is how the interpreter names what a value is.
func (t types) typeOf() string {
	switch k := t[0]; {
	case k.schema != nil:
		return "object"
	case k.row != nil:
		return "builtin_function_or_method"
	default:
		return k.name
	}
}

// checkMember complains of x.name where nothing that x may be has it.
func (f *inference) checkMember(e *syntax.DotExpr) {
	if f.module(e.X) != "" {
		return // P5016
	}
	if f.assigned[e] {
		return
	}
	t, name := f.of(e.X), e.Name.Name
	if t.all(func(k kind) bool { return k.schema != nil && len(f.member(k, name)) == 0 && !hasField(k.schema, name) }) {
		d := f.fail(e.Name.NamePos, "P5002", "the schema of params has no field `"+name+"`", didYouMean(name, fieldNames(t[0].schema), ""))
		if len(t) == 1 {
			rename(d, e.Name.NamePos, name, fieldNames(t[0].schema))
		}
		return
	}
	var near []string
	for _, k := range t {
		names, known := f.memberNames(k)
		if !known || slices.Contains(names, name) {
			return
		}
		near = append(near, names...)
	}
	if len(t) == 0 {
		return
	}
	d := f.says(e.Name.NamePos, "P5017", "%s has no .%s field or method", t.typeOf(), name)
	if hint := starlib.InsteadOf(t.typeOf() + "." + name); hint != "" {
		d.Hint = hint
	}
	if instead := starlib.RenameOf(t.typeOf() + "." + name); instead != "" {
		replace(d, e.Name.NamePos, name, instead)
	} else if len(t) == 1 && (d.Hint == "" || strings.HasPrefix(d.Hint, "did you mean")) {
		rename(d, e.Name.NamePos, name, near)
	}
	d.Hint = cmp.Or(d.Hint, didYouMean(name, near, "."))
	if d.Hint == "" && t.named("dict") {
		d.Hint = "a dict has keys: write `d[\"" + name + "\"]`"
	}
}

func hasField(s *schema.Schema, name string) bool { return slices.Contains(fieldNames(s), name) }

// checkStore complains of x.a = v, and of x[i] = v where x never takes it.
func (f *inference) checkStore(n *syntax.AssignStmt) {
	switch target := n.LHS.(type) {
	case *syntax.DotExpr:
		if t := f.of(target.X); t.named("params", "struct", "path", "match", "file", "string", "list", "dict", "int") {
			f.says(target.Name.NamePos, "P5019", "can't assign to .%s field of %s", target.Name.Name, t.typeOf())
		}
	case *syntax.IndexExpr:
		if t := f.of(target.X); t.named("string", "tuple", "params", "struct", "int", "float", "NoneType", "bytes", "range", "path", "set") {
			f.says(target.Lbrack, "P5019", "%s value does not support item assignment", t.typeOf())
		}
	}
	if n.Op == syntax.EQ {
		if id, ok := n.LHS.(*syntax.Ident); ok {
			f.checkNothing(id, n.RHS)
		}
	}
}

// checkNothing warns of `rows = rows.append(x)`.
func (f *inference) checkNothing(id *syntax.Ident, e syntax.Expr) {
	call, ok := e.(*syntax.CallExpr)
	if !ok {
		return
	}
	dot, ok := call.Fn.(*syntax.DotExpr)
	if !ok {
		return
	}
	of, ok := dot.X.(*syntax.Ident)
	if !ok || variable(of) == nil || variable(of) != variable(id) || f.dead(id) {
		return
	}
	if slices.Contains([]string{"append", "extend", "insert", "update", "add", "remove", "discard", "clear", "sort", "reverse"}, dot.Name.Name) {
		d := f.warn(id.NamePos, "P5024", fmt.Sprintf("`.%s(...)` returns None, which `%s` then is", dot.Name.Name, id.Name), "write the call alone: it changes the value in place")
		cut(d, id.NamePos, of.NamePos)
	}
}

func (f *inference) checkLoop(e syntax.Expr) {
	t := f.of(e)
	if !t.named(append([]string{"function"}, fixed...)...) || slices.ContainsFunc(t, func(k kind) bool { return slices.Contains(looped, k.name) }) {
		return
	}
	f.says(syntax.Start(e), "P5019", "%s value is not iterable", t.typeOf())
}

func (f *inference) checkIndex(e *syntax.IndexExpr) {
	t, i := f.of(e.X), f.of(e.Y)
	switch {
	case t.named("int", "float", "bool", "NoneType", "function", "path", "set"):
		f.says(e.Lbrack, "P5019", "unhandled index operation %s[%s]", t.typeOf(), "int")
	case t.named("string", "list", "tuple", "bytes", "range") && i.named("string", "float", "NoneType", "list", "dict", "tuple"):
		d := f.says(syntax.Start(e.Y), "P5019", "%s index: got %s, want int", t.typeOf(), i.typeOf())
		if _, ok := literal(e.Y); ok {
			d.Hint = "csv.dict_reader gives rows with names, csv.reader rows with numbers"
			if t.named("string") {
				d.Hint = "this is a text; json.decode(text) makes a dict of one that is JSON"
			}
		}
	}
}

func (f *inference) checkKeys(e *syntax.DictExpr) {
	seen := map[any]bool{}
	for _, entry := range e.List {
		key := entry.(*syntax.DictEntry).Key
		if t := f.of(key); t.named("list", "dict", "set") {
			f.says(entry.(*syntax.DictEntry).Colon, "P5019", "unhashable type: %s", t.typeOf())
		}
		if lit, ok := key.(*syntax.Literal); ok {
			key := fmt.Sprintf("%d:%v", lit.Token, lit.Value)
			if seen[key] {
				f.fail(lit.TokenPos, "P5022", "the key "+diag.Shorten(lit.Raw)+" is there twice", "delete one of the two")
			}
			seen[key] = true
		}
	}
}

// arguments are those of a call.
type arguments struct {
	positional []syntax.Expr
	keywords   []*syntax.BinaryExpr
	open       bool // *args or **kwargs: there may be more
}

func argumentsOf(e *syntax.CallExpr) arguments {
	var a arguments
	for _, arg := range e.Args {
		switch arg := arg.(type) {
		case *syntax.UnaryExpr:
			if arg.Op == syntax.STAR || arg.Op == syntax.STARSTAR {
				a.open = true
				continue
			}
			a.positional = append(a.positional, arg)
		case *syntax.BinaryExpr:
			if arg.Op == syntax.EQ {
				a.keywords = append(a.keywords, arg)
				continue
			}
			a.positional = append(a.positional, arg)
		default:
			a.positional = append(a.positional, arg)
		}
	}
	return a
}

// without are the names that the call does not give by keyword.
func (a arguments) without(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(a.keywords, func(kw *syntax.BinaryExpr) bool { return kw.X.(*syntax.Ident).Name == name })
	})
}

func (f *inference) checkCall(e *syntax.CallExpr) {
	if name := f.module(e.Fn); name != "" && len(f.Members[name]) > 0 {
		f.fail(e.Lparen, "P5018", "the module `"+name+"` cannot be called", diag.ModuleHint(name))
		return
	}
	t := f.of(e.Fn)
	if len(t) != 1 {
		return // of several functions any may be the one
	}
	k := t[0]
	switch {
	case k.row != nil && k.row.Phase != starlib.Declare:
		f.checkArguments(k.row, e, "write "+k.row.Signature(), k.row.Usage(len(e.Args) == 0))
		f.checkLiterals(k.row, e)
		f.checkValue(k.row, e)
		f.checkWrite(k.row, e)
		f.checkParts(k.row, e)
	case k.def != nil:
		f.checkArguments(rowOf(k.def), e, "", "")
	case slices.Contains(fixed, k.name):
		f.says(e.Lparen, "P5018", "invalid call of non-function (%s)", t.typeOf())
	}
}

// checkArguments holds the arguments of a call against a row of the table, or one
// of rowOf; signature and usage are the hints.
func (f *inference) checkArguments(row *starlib.Builtin, e *syntax.CallExpr, signature, usage string) {
	args := argumentsOf(e)
	given, wrong := map[string]bool{}, false
	var positional []starlib.Param
	var rest *starlib.Param
	kwargs := false
	var names []string // that a keyword may be
	for i, p := range row.Params {
		switch p.Kind {
		case starlib.Rest:
			rest = &row.Params[i]
		case starlib.KeywordRest:
			kwargs = true
		case starlib.Either, starlib.Positional:
			positional = append(positional, p)
		}
		if p.Kind == starlib.Either || p.Kind == starlib.KeywordOnly {
			names = append(names, p.Name)
		}
	}
	for i, arg := range args.positional {
		switch {
		case i < len(positional):
			given[positional[i].Name] = true
			f.checkType(row, positional[i], arg)
		case rest != nil:
			f.checkType(row, *rest, arg)
		default:
			f.fail(syntax.Start(arg), "P5018", fmt.Sprintf("%s takes at most %d arguments by position", row.Name, len(positional)), signature)
			return
		}
	}
	for _, kw := range args.keywords {
		id := kw.X.(*syntax.Ident)
		switch known := slices.Contains(names, id.Name); {
		case known && given[id.Name]:
			f.fail(id.NamePos, "P5018", fmt.Sprintf("%s: argument `%s` is given twice", row.Name, id.Name), signature)
			wrong = true
		case known:
			given[id.Name] = true
			f.checkType(row, row.Params[slices.IndexFunc(row.Params, func(p starlib.Param) bool { return p.Name == id.Name })], kw.Y)
		case !kwargs:
			hint := cmp.Or(didYouMean(id.Name, names, ""), signature)
			d := f.fail(id.NamePos, "P5018", fmt.Sprintf("%s has no argument `%s`", row.Name, id.Name), hint)
			left := slices.DeleteFunc(args.without(names), func(name string) bool { return given[name] })
			rename(d, id.NamePos, id.Name, left)
			wrong = true
		}
	}
	if args.open || wrong {
		return
	}
	for _, p := range row.Params {
		if p.Default == "" && p.Kind != starlib.Rest && p.Kind != starlib.KeywordRest && !given[p.Name] {
			f.fail(e.Lparen, "P5018", fmt.Sprintf("%s: missing argument `%s`", row.Name, p.Name), usage)
			return
		}
	}
}

// checkType complains of an argument that is of no type that its parameter takes.
func (f *inference) checkType(row *starlib.Builtin, p starlib.Param, arg syntax.Expr) {
	got, want := f.of(arg), accepted(p.Type)
	if len(got) == 0 || len(want) == 0 {
		return
	}
	for _, k := range got {
		if k.name == "NoneType" && p.Default == "None" || k.name == "function" && k.def == nil && k.row == nil {
			return
		}
		if !slices.Contains(fixed, k.name) && k.name != "function" {
			return
		}
		if slices.ContainsFunc(want, func(w kind) bool { return w.name == k.name }) {
			return
		}
	}
	hint := ""
	switch {
	case slices.ContainsFunc(want, func(k kind) bool { return k.name == "path" }) && got.named("string"):
		hint = "a string is no path: write workspace / \"name\""
	case got.named("string") && strings.Contains(p.Type, "iterable"):
		hint = "a string is not iterable: write s.elems() for its characters, or s.splitlines() for its lines"
	case want.named("string") && got.named("path"):
		hint = "str(path) is its name, path.read_text() its content"
	case want.named("string") && got.named("int", "float"):
		hint = "str(x) makes a text of a number"
	}
	d := f.fail(syntax.Start(arg), "P5019", fmt.Sprintf("%s: argument `%s`", row.Name, p.Name), hint)
	d.Found, d.Wanted = got.String(), p.Type
}

// rowOf is a function of the file as a row of the table: its parameters have no
// types.
func rowOf(def *syntax.DefStmt) *starlib.Builtin {
	row := &starlib.Builtin{Name: def.Name.Name}
	kind := starlib.Either
	for _, p := range def.Params {
		switch p := p.(type) {
		case *syntax.Ident:
			row.Params = append(row.Params, starlib.Param{Name: p.Name, Kind: kind})
		case *syntax.BinaryExpr:
			row.Params = append(row.Params, starlib.Param{Name: p.X.(*syntax.Ident).Name, Kind: kind, Default: "..."})
		case *syntax.UnaryExpr:
			switch {
			case p.Op == syntax.STARSTAR:
				row.Params = append(row.Params, starlib.Param{Kind: starlib.KeywordRest})
			case p.X != nil: // else a bare `*`
				row.Params = append(row.Params, starlib.Param{Kind: starlib.Rest})
			}
			kind = starlib.KeywordOnly
		}
	}
	return row
}

// literal is the text that an expression is, ok when it is one that is written out.
func literal(e syntax.Expr) (text string, ok bool) {
	lit, isLit := e.(*syntax.Literal)
	if !isLit || lit.Token != syntax.STRING {
		return "", false
	}
	return lit.Value.(string), true
}

// argument is what a call gives for the parameter of a row, nil when that
// cannot be seen.
func argument(row *starlib.Builtin, e *syntax.CallExpr, name string) syntax.Expr {
	args := argumentsOf(e)
	for _, kw := range args.keywords {
		if kw.X.(*syntax.Ident).Name == name {
			return kw.Y
		}
	}
	for i, p := range row.Params {
		if p.Name == name && i < len(args.positional) && !args.open {
			return args.positional[i]
		}
	}
	return nil
}

// checkLiterals checks texts that have a form of their own and are written out:
// regular expressions, globs, paths, formats.
func (f *inference) checkLiterals(row *starlib.Builtin, e *syntax.CallExpr) {
	check := func(param, code string, err func(text string) error) {
		arg := argument(row, e, param)
		if text, ok := literal(arg); ok {
			if err := err(text); err != nil {
				f.fail(syntax.Start(arg), diag.Code(code), row.Name+": "+plainError(err), hintOf(err))
			}
		}
	}
	module, _, _ := strings.Cut(row.Name, ".")
	if slices.Contains([]string{"path", "entry", "csv", "json", "archive"}, module) {
		for _, name := range []string{"compression", "encoding", "errors", "quotes", "quoting", "format"} {
			check(name, "P5021", func(text string) error { return starlib.CheckFileArgument(name, text) })
		}
	}
	switch {
	case module == "re" && row.Name != "re.escape":
		check("pattern", "P5021", starlib.CheckRegexp)
	case row.Name == "path.glob" || row.Name == "path.rglob":
		check("pattern", "P5021", func(text string) error { _, err := glob.Compile(text); return err })
	case row.Name == "path.joinpath":
		for _, arg := range argumentsOf(e).positional {
			if text, ok := literal(arg); ok {
				f.checkPath(text, arg)
			}
		}
	case row.Name == "csv.reader" || row.Name == "csv.dict_reader":
		check("path", "P5019", starlib.CheckTable)
	case row.Name == "path.open":
		check("mode", "P5021", func(text string) error {
			if !slices.Contains([]string{"r", "rb", "w", "wb", "a", "ab"}, text) {
				return fmt.Errorf("the mode is one of r, rb, w, wb, a, ab")
			}
			return nil
		})
	case row.Name == "time.parse" || row.Name == "time.time.format":
		check("format", "P5021", starlib.CheckTimeFormat)
	case row.Name == "time.time.truncate":
		check("unit", "P5021", starlib.CheckTimeUnit)
	case row.Name == "string.format":
		if dot, ok := e.Fn.(*syntax.DotExpr); ok {
			if text, ok := literal(dot.X); ok {
				f.checkBraces(text, dot.X, argumentsOf(e))
			}
		}
	}
}

func plainError(err error) string {
	if p, ok := err.(*diag.Problem); ok {
		message := p.Message
		if p.Wanted != "" {
			message += ": want " + p.Wanted
		}
		return message
	}
	return err.Error()
}

func hintOf(err error) string {
	if p, ok := err.(*diag.Problem); ok {
		return p.Hint
	}
	return ""
}

func (f *inference) checkPath(text string, at syntax.Expr) {
	if err := paths.Check(text); err != nil {
		f.fail(syntax.Start(at), "P5021", err.Error(), "")
	}
}

// checkJoin looks at the right side of path / "name".
func (f *inference) checkJoin(e *syntax.BinaryExpr) {
	if text, ok := literal(e.Y); ok && e.Op == syntax.SLASH && f.of(e.X).named("path") {
		f.checkPath(text, e.Y)
	}
}

// checkFormat holds "..." % args against args, when both can be seen.
func (f *inference) checkFormat(e *syntax.BinaryExpr) {
	text, ok := literal(e.X)
	if !ok || e.Op != syntax.PERCENT {
		return
	}
	wants, err := starlib.PercentValues(text)
	if err != nil {
		f.fail(syntax.Start(e.X), "P5020", plainError(err), hintOf(err))
		return
	}
	values := []syntax.Expr{e.Y}
	paren := e.Y
	if p, ok := paren.(*syntax.ParenExpr); ok {
		paren = p.X
	}
	named := slices.ContainsFunc(wants, func(w starlib.FormatValue) bool { return w.Name != "" })
	if dict, ok := paren.(*syntax.DictExpr); ok && named {
		f.checkNamed(dict, wants)
		return
	}
	if named {
		return
	}
	if tuple, ok := paren.(*syntax.TupleExpr); ok {
		values = tuple.List
	} else if t := f.of(e.Y); len(t) == 0 || slices.ContainsFunc(t, func(k kind) bool { return k.name == "tuple" }) {
		return
	} else if t.named("dict", "struct", "params") && len(wants) == 0 {
		return
	}
	if len(values) != len(wants) {
		f.fail(syntax.Start(e.X), "P5020", fmt.Sprintf("the format wants %s, and gets %d", diag.Plural(len(wants), "value"), len(values)), "")
		return
	}
	for i, v := range values {
		f.checkFits(wants[i], v)
	}
}

// checkNamed holds the values of a dict that is written out against a format.
func (f *inference) checkNamed(dict *syntax.DictExpr, wants []starlib.FormatValue) {
	values := map[string]syntax.Expr{}
	for _, entry := range dict.List {
		entry := entry.(*syntax.DictEntry)
		key, ok := literal(entry.Key)
		if !ok {
			return
		}
		values[key] = entry.Value
	}
	for _, want := range wants {
		switch v := values[want.Name]; {
		case want.Name == "":
		case v == nil:
			f.fail(syntax.Start(dict), "P5020", "the format names a key that the dict does not have: "+diag.Shorten(want.Name), "")
			return
		default:
			f.checkFits(want, v)
		}
	}
}

// checkFits complains of a value that cannot be written as its format says,
// whatever it is of what it may be.
func (f *inference) checkFits(want starlib.FormatValue, v syntax.Expr) {
	var wrong error
	t := f.of(v)
	for _, k := range t {
		name := k.name
		if name == "NoneType" {
			name = "None"
		}
		err := want.Fits(name)
		if err == nil || !slices.Contains(fixed, k.name) && k.name != "time.time" {
			return
		}
		wrong = err
	}
	if wrong != nil {
		f.fail(syntax.Start(v), "P5020", plainError(wrong), hintOf(wrong))
	}
}

// checkBraces holds "{}".format(...) against its arguments.
func (f *inference) checkBraces(text string, at syntax.Expr, args arguments) {
	wants, err := starlib.BraceValues(text)
	if err != nil {
		f.fail(syntax.Start(at), "P5020", plainError(err), hintOf(err))
		return
	}
	if args.open {
		return
	}
	names := map[string]syntax.Expr{}
	for _, kw := range args.keywords {
		names[kw.X.(*syntax.Ident).Name] = kw.Y
	}
	for _, want := range wants {
		v := names[want.Name]
		switch {
		case want.Index >= len(args.positional):
			f.fail(syntax.Start(at), "P5020", fmt.Sprintf("the format wants value %d, and there are %d", want.Index+1, len(args.positional)), "the first is {0}")
			return
		case want.Index >= 0:
			v = args.positional[want.Index]
		case v == nil:
			f.fail(syntax.Start(at), "P5020", "the format wants a value `"+diag.Shorten(want.Name)+"`, which it does not get", "give it by keyword: "+diag.Shorten(want.Name)+" = ...")
			return
		}
		f.checkFits(want, v)
	}
}
