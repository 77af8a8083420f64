// Package fieldstest holds what tests of rows share.
package fieldstest

import (
	"reflect"
	"testing"
	"time"
)

// MustBeFull reports each field within value that is zero: an encoding that forgets one that is new would not show.
func MustBeFull(t *testing.T, name string, value reflect.Value) {
	t.Helper()
	switch _, isTime := value.Interface().(time.Time); {
	case value.IsZero():
		t.Errorf("a field that this test does not know: %s", name)
	case value.Kind() == reflect.Pointer:
		MustBeFull(t, name, value.Elem())
	case value.Kind() == reflect.Struct && !isTime:
		for i := range value.NumField() {
			MustBeFull(t, name+"."+value.Type().Field(i).Name, value.Field(i))
		}
	}
}
