package work

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestAnotherNameOfAFileThatIsHereIsNotDeleted: somebody has renamed it to the bytes of its name, and that is the one name that
// it has on the server.
func TestAnotherNameOfAFileThatIsHereIsNotDeleted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gr\xfcn"), []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	op := plan.Op{Action: plan.DeleteRemote, Path: "grün", Local: plan.Side{Knowledge: plan.Seen},
		Remote: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 5}}}
	options := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Encoding: "latin1"}
	o, _ := doWith(t, options, dir, []plan.Op{op}, 1, nil, slices.Concat(login, []step{{Expect: "QUIT", Send: "221 Bye."}})...)
	if o.Result != Done || !o.Forget || !strings.Contains(o.Reason, "kept") {
		t.Errorf("outcome %v %q (%v)", o.Result, o.Reason, o.Err)
	}
}
