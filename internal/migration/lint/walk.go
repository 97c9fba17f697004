package lint

import "google.golang.org/protobuf/reflect/protoreflect"

// walk shows every node of a tree, a parent before its children.
func walk(m protoreflect.Message, show func(node any)) {
	if !m.IsValid() {
		return
	}
	show(m.Interface())
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() != protoreflect.MessageKind || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				walk(v.List().Get(i).Message(), show)
			}
		default:
			walk(v.Message(), show)
		}
		return true
	})
}
