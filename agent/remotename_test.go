package agent_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestFilesHaveOtherNamesOnTheServer, under which they are found again.
func TestFilesHaveOtherNamesOnTheServer(t *testing.T) {
	for _, name := range []string{"vsftpd", "pure-ftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up", `remote_name = "{stem}-{mtime:2006}{ext}"`)
			text, err := os.ReadFile(r.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(r.config, bytes.Replace(text, []byte("delete = true"), []byte("delete = false"), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			fill(t, r.local, map[string]string{"d/a.txt": "a", "b": "b"})
			setTime(t, r.local, "d/a.txt", time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC))
			setTime(t, r.local, "b", time.Date(2021, 2, 28, 12, 0, 0, 0, time.UTC))
			fill(t, r.remote, map[string]string{"b": "a stranger's"})
			want := map[string]string{"d/": "", "d/a-2020.txt": "a", "b-2021": "b", "b": "a stranger's"}
			for pass, transferred := range []int{2, 0} {
				if report := r.once(); report.Transferred != transferred || report.Unfinished+len(report.Dead)+len(report.Conflicts) > 0 {
					t.Errorf("pass %d: %+v", pass+1, report)
				}
				if diff := cmp.Diff(want, tree(t, r.remote)); diff != "" {
					t.Errorf("pass %d: wanted -, got +:\n%s", pass+1, diff)
				}
			}
		})
	}
}
