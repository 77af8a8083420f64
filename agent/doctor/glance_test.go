package doctor

import (
	"os"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestALookAtAFolderThatTakesNoFiles: the server says so, and nothing has to be written for that.
func TestALookAtAFolderThatTakesNoFiles(t *testing.T) {
	s := ftptest.Real(t, "proftpd", ftptest.RealOptions{})
	for _, test := range []struct {
		mode os.FileMode
		made bool
		want Outcome
	}{{0o755, true, Well}, {0o555, false, Well}, {0o555, true, NeedsPerson}} {
		if err := os.Chmod(s.Root, test.mode); err != nil {
			t.Fatal(err)
		}
		g := Look(t.Context(), realPatient(t, s), []Wanted{{Path: s.RemoteRoot, Made: test.made}})
		if told := strings.Contains(g.Text(), "may not store files in "); g.Outcome != test.want || told != (test.want == NeedsPerson) {
			t.Errorf("%v, files stored there: %v: %s", test.mode, test.made, g.Text())
		}
	}
}
