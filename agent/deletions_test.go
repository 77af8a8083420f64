package agent_test

import (
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAFolderWaitsForWhatIsInIt: while a file cannot be deleted neither it nor its folder is tried faster than either
// would be alone.
func TestAFolderWaitsForWhatIsInIt(t *testing.T) {
	for answer, most := range map[string]int{"450 busy": 8, "550 Permission denied": 3} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up")
			relay := r.behind()
			fill(t, r.local, map[string]string{"folder/sub/a.txt": "a", "other.txt": "o", "b": "b", "c": "c"})
			r.mustBeInStep("first pass")
			remove(t, r.local, "folder")
			relay.refuse = func(verb string) string {
				if verb == "DELE" {
					return answer
				}
				return ""
			}
			began := time.Now()
			r.with(agent.Options{}, func(a *agent.Agent) {
				a.Pass(t.Context(), nil)
				time.Sleep(2 * time.Second) // in which a file that is hammered is tried more often
				eventually(t, "the file is tried again", func() bool { return relay.count("DELE") > 1 })
			})
			most += int(time.Since(began) / (8 * time.Second)) // it may take as long as it likes
			if files, folders := relay.count("DELE"), relay.count("RMD"); files < 2 || files > most || folders > 2*most {
				t.Errorf("%d tries to delete the file, and %d the folders", files, folders)
			}
		})
	}
}
