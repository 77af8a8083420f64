package scan

import (
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestFolderForTemporaryFiles: it takes no part on either side, and a full scan finds what is left behind in it.
func TestFolderForTemporaryFiles(t *testing.T) {
	for _, direction := range []plan.Direction{plan.Up, plan.Both} {
		r := newRig(t, direction)
		fill(t, r.local, "in/file", "in/parts/mine")
		form := TempForm{"up-", ".part"}
		dead, alive, link := form.Name("a", "0badcafe", 1, 3), form.Name("a", "0badcafe", 2, 3), form.Name("link", "0badcafe", 1, 3)
		r.remote = &Remote{Root: "/site", Conn: model{
			"in": {Kind: entry.Dir}, "in/file": farFile(7, 0), "in/parts": {Kind: entry.Dir}, "in/parts/" + dead: farFile(1, 0),
			"in/parts/" + alive: farFile(1, 0), "in/parts/sub": {Kind: entry.Dir}, "in/parts/sub/x": farFile(1, 0), "in/" + dead: farFile(1, 0),
			"in/parts/" + link: {Kind: entry.Link}, "in/" + link: {Kind: entry.Link},
		}}
		r.change = func(request *Request) {
			request.TempFolder = "in/parts"
			request.Orphan = func(instance string, job uint64, attempt int) bool {
				return instance == "0badcafe" && job == 1 && attempt == 3
			}
		}
		r.want(r.scan(), "agree in", "agree in/file", "sweep remote in/"+dead, "sweep remote in/"+link, "sweep remote in/parts/"+dead, "sweep remote in/parts/"+link)
		r.remember("in/", "in/file")
		r.want(r.scan("in/parts/mine", "in/parts/sub/x"))
	}
}

// TestALocalFileThatWasAboutToGoIsTold once nobody is at it any more: it may be the only copy.
func TestALocalFileThatWasAboutToGoIsTold(t *testing.T) {
	r := newRig(t, plan.Up)
	left := ClaimName("a.txt", "0badcafe", 1)
	fill(t, r.local, left, ClaimName("b.txt", "0badcafe", 2), ClaimName("c.txt", "12345678", 1))
	r.change = func(request *Request) {
		request.Instance = "0badcafe"
		request.Orphan = func(instance string, job uint64, _ int) bool { return instance == "0badcafe" && job == 1 }
	}
	notes := r.scan().Plan.Notes
	if len(notes) != 1 || notes[0].Path != left || !strings.Contains(notes[0].Text, `rename it to "a.txt"`) {
		t.Errorf("notes: %+v", notes)
	}
}
