package scan

import (
	"context"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// farFile is a file of a model, as old as longAgo and later by that much.
func farFile(size int64, later time.Duration) entry.Entry {
	return entry.Entry{Kind: entry.File, Size: size, ModTime: longAgo.Add(later), Precision: time.Second}
}

// TestOwnTransfersAreRecognizedInBothDirections: each path was transferred, which nobody could report, and its source changed
// afterwards. That is a change of the source, and not one of both sides.
func TestOwnTransfersAreRecognizedInBothDirections(t *testing.T) {
	r := newRig(t, plan.Both)
	r.inStep("up", "down", "foreign")
	r.remote = &Remote{Root: "/site", Conn: model{"up": farFile(20, time.Hour), "down": farFile(99, time.Hour), "foreign": farFile(20, time.Hour)}}
	fill(t, r.local, "up", "down", "foreign") // of 2, 4 and 7 bytes
	changeLocal := func(rel string) {         // its time tells that
		row := r.base[rel]
		row.Local.ModTime = row.Local.ModTime.Add(-time.Hour)
		r.base[rel] = row
	}
	changeLocal("up")
	changeLocal("down")
	changeLocal("foreign")
	r.change = func(request *Request) {
		request.Intents = func(rel string) ([]state.Intent, error) {
			return map[string][]state.Intent{
				"up":      {{Source: farFile(20, time.Hour)}},
				"down":    {{Source: farFile(4, 0), Down: true}},
				"foreign": {{Source: farFile(20, time.Hour), Down: true}},
			}[rel], nil
		}
	}
	r.want(r.scan(), "download down", "set_aside_local foreign", "upload up")
	r.want(r.scan("down", "up"), "download down", "upload up")
}

// easterly is a model whose LIST tells minutes, in another zone than its MDTM.
type easterly struct{ model }

func (e easterly) List(ctx context.Context, p string) (ftpclient.Listing, error) {
	l, err := e.model.List(ctx, p)
	for i := range l.Entries {
		l.Entries[i].ModTime, l.Entries[i].Precision = l.Entries[i].ModTime.Add(5*time.Hour), time.Minute
	}
	return l, err
}

// TestTheNewerOneIsFoundByItsExactTime: what a listing tells is some hours off where nobody knows its zone.
func TestTheNewerOneIsFoundByItsExactTime(t *testing.T) {
	r := newRig(t, plan.Both)
	r.rules.Conflict = plan.ResolveNewer
	fill(t, r.local, "here") // 4 bytes, as old as longAgo
	r.remote = &Remote{Root: "/site", Conn: easterly{model{"here": farFile(20, -time.Hour)}}}
	for _, paths := range [][]string{nil, {"here"}} {
		r.want(r.scan(paths...), "upload here")
	}
}
