package scan

import (
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/list"
)

func TestRemoteIdentity(t *testing.T) {
	of := func(kind list.Type, unique string) uint64 {
		return RemoteEntry(list.Entry{Type: kind, Unique: unique}).ID
	}
	if a, b := of(list.File, "FD01U1E0B"), of(list.File, "FD01U1E0C"); a == 0 || b == 0 || a == b || a != of(list.Dir, "FD01U1E0B") {
		t.Errorf("%x and %x", a, b)
	}
	for _, unique := range []string{"", "FILE.TXT;3"} {
		if got := of(list.File, unique); got != 0 {
			t.Errorf("%q is an identity, %x", unique, got)
		}
	}
}
