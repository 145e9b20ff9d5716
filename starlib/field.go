package starlib

// Kind is what sort of value a Type wants; the words are those of task files.
type TypeKind string

const (
	KindString   TypeKind = "str"
	KindInt      TypeKind = "int"
	KindFloat    TypeKind = "float"
	KindBool     TypeKind = "bool"
	KindList     TypeKind = "list"     // list, and list_of(T) with Elem
	KindMap      TypeKind = "dict"     // dict, and map_of(T) with Elem
	KindEnum     TypeKind = "one_of"   // Enum
	KindUnion    TypeKind = "union"    // AnyOf
	KindOptional TypeKind = "optional" // Elem, or null
	KindAnything TypeKind = "anything"
	KindSchema   TypeKind = "schema" // Object
	KindDateTime TypeKind = "datetime"
	KindDate     TypeKind = "date"
	KindUUID     TypeKind = "uuid"
)

// Type is what a value must be. It is immutable.
type Type struct {
	Kind   TypeKind
	Elem   *Field   // list_of, map_of, optional; nil: free
	AnyOf  []*Field // union
	Enum   []any    // one_of: string, bool or *big.Int
	Object *Schema  // schema
}
