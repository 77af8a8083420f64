package work

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestADownloadBeyondFourGigabytesGoesOn with offsets and sizes that do not fit into 32 bits. All but its end is there, and is
// a hole on this disk.
func TestADownloadBeyondFourGigabytesGoesOn(t *testing.T) {
	const size, there = 5<<30 + 5, 5 << 30
	dir := t.TempDir()
	part := filepath.Join(dir, temp)
	if err := os.WriteFile(part, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(part, there); err != nil {
		t.Fatal(err)
	}
	remote := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: stamped, Precision: time.Second}}
	op := plan.Op{Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen}, Remote: remote}
	const final, told = "/site/a.txt", "213 5368709125"
	asked := []step{{Expect: "SIZE " + final, Send: told}, {Expect: "MDTM " + final, Send: "213 " + stamp}}
	o := doBegun(t, dir, op, []state.Intent{{Source: remote.Entry, Down: true}}, slices.Concat(asked, asked, []step{
		{Expect: "EPSV", Passive: true},
		{Expect: "REST 5368705024", Send: "350 From there."},
		{Expect: "RETR " + final, Send: "150 Here it comes.", Data: &ftptest.Data{Send: strings.Repeat("\x00", 4096) + "tail!", End: ftptest.Close}},
		{Send: "226 Done."},
		{Expect: "SIZE " + final, Send: told},
	}, asked, []step{{Expect: "QUIT", Send: "221 Bye."}})...)
	if o.Result != Done || o.Bytes != 5 || !strings.HasSuffix(o.Verified, "resumed at 5368709120") {
		t.Fatalf("outcome %v (%v), %d bytes came, %s", o.Result, o.Err, o.Bytes, o.Verified)
	}
	file, err := os.Open(filepath.Join(dir, "a.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	end := make([]byte, 6)
	if n, err := file.ReadAt(end, there-1); n != 6 || string(end) != "\x00tail!" {
		t.Errorf("the end is %q (%v)", end, err)
	}
	if info, err := file.Stat(); err != nil || info.Size() != size {
		t.Errorf("it has %v bytes (%v)", info.Size(), err)
	}
}

// TestAnUploadBeyondFourGigabytesGoesOn from a part beyond 4 GiB that an attempt before has left; what both files begin with is a hole.
func TestAnUploadBeyondFourGigabytesGoesOn(t *testing.T) {
	const size, there = 5<<30 + 5, 5 << 30
	dir, local := source(t, "")
	path := filepath.Join(dir, "a.txt")
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("tail!"), there); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stamped, stamped); err != nil {
		t.Fatal(err)
	}
	local.Entry.Size = size
	const part, mine, final = "/site/" + temp, "/site/.a.txt.ftpferry-0badcafe-7.2", "/site/a.txt"
	told := func(path, size string) []step { return []step{{Expect: "SIZE " + path, Send: "213 " + size}} }
	readBack := func(from, content string) []step {
		return []step{
			{Expect: "EPSV", Passive: true},
			{Expect: "REST " + from, Send: "350 From there."},
			{Expect: "RETR " + mine, Send: "150 Here it comes.", Data: &ftptest.Data{Send: content, End: ftptest.Close}},
			{Send: "226 Done."},
		}
	}
	was, is := told(mine, "5368709120"), told(mine, "5368709125")
	o := doBegun(t, dir, upload7(local), []state.Intent{{Source: local.Entry}}, slices.Concat(
		absent(final), told(part, "5368709120"), renames(part, mine),
		was, was, readBack("5368643584", strings.Repeat("\x00", 64<<10)), was,
		[]step{
			{Expect: "EPSV", Passive: true},
			{Expect: "REST 5368709120", Send: "350 From there."},
			{Expect: "STOR " + mine, Send: "150 Go on.", Data: &ftptest.Data{Receive: ftptest.All, Want: "tail!", End: ftptest.Close}},
			{Send: "226 Done."},
		},
		is, readBack("5368676352", strings.Repeat("\x00", 32<<10)+"tail!"), is,
		setsTime(mine), renames(mine, final), told(final, "5368709125"), []step{{Expect: "MDTM " + final, Send: "213 " + stamp}},
		[]step{{Expect: "QUIT", Send: "221 Bye."}})...)
	if o.Result != Done || o.Bytes != 5 || o.Reason != "went on after 5368709120 bytes" || o.Base.Remote.Size != size {
		t.Fatalf("outcome %v (%v), %d bytes were sent, %s", o.Result, o.Err, o.Bytes, o.Reason)
	}
}

// doBegun carries out the second attempt of an operation whose first one has noted what it was about to transfer.
func doBegun(t *testing.T, local string, op plan.Op, begun []state.Intent, steps ...step) Outcome {
	t.Helper()
	server := ftptest.NewScript(t, slices.Concat(login, steps)...)
	conn, err := ftpclient.Dial(t.Context(), server.Addr, ftpclient.Options{User: "u", TLS: ftpclient.TLSNone})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	direction := plan.Up
	if op.Action == plan.Download {
		direction = plan.Down
	}
	o := Do(t.Context(), Env{
		Sync:     Sync{Name: "s", Local: local, Remote: "/site", Rules: plan.Rules{Direction: direction}, Upload: Upload{TempPrefix: "."}},
		State:    &knownState{intents: begun},
		Instance: instance, Logger: slog.New(slog.DiscardHandler), Connect: func(context.Context) (*ftpclient.Conn, error) { return conn, nil },
	}, queue.Job{ID: 7, New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: 2})
	conn.Close()
	server.Wait()
	return o
}
