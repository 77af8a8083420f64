package scan

import (
	"path"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestNamesOnTheServer: what is sent under another name is looked up under it, and whatever else is there does not count.
func TestNamesOnTheServer(t *testing.T) {
	r := newRig(t, plan.Up)
	r.rules.Delete = false
	r.inStep("d/", "d/sent.txt", "changed.txt", "gone.txt")
	far := model{"d": {Kind: entry.Dir}, "d/sent-2020.txt": farFile(10, 0), "changed-2020.txt": farFile(11, 0), "stranger": farFile(1, 0),
		"new.txt": farFile(3, 0), "same-2020.txt": farFile(8, 0), "gone-2020.txt": farFile(8, 0)}
	r.remote = &Remote{Root: "/site", Conn: far}
	fill(t, r.local, "new.txt", "same.txt")
	remove(t, r.local, "gone.txt", "changed.txt")
	fill(t, r.local, "changed.txt")
	row := r.base["changed.txt"]
	row.Local.Size, row.Remote.Size = 5, 5
	r.base["changed.txt"] = row
	r.change = func(request *Request) {
		request.RemoteName = func(rel string, modified time.Time) string {
			name, ext, _ := strings.Cut(path.Base(rel), ".")
			return path.Join(path.Dir(rel), strings.TrimSuffix(name, "_")+modified.Format("-2006.")+ext)
		}
	}
	want := []string{"upload new.txt", "agree changed.txt", "agree same.txt", "forget gone.txt"}
	r.want(r.scan(), want...)
	r.want(r.scan("changed.txt", "d/sent.txt", "gone.txt", "new.txt", "same.txt", "stranger"), want...)

	// Two names that are the same there: what one of them would replace, stays.
	fill(t, r.local, "new_.txt")
	for range 2 {
		r.want(r.scan("new.txt", "new_.txt"), "conflict new.txt", "conflict new_.txt")
	}
	r.want(r.scan(), "agree changed.txt", "agree same.txt", "forget gone.txt", "conflict new.txt", "conflict new_.txt")
}
