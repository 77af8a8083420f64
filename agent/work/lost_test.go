package work

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

// dies ends the connection instead of the reply to a command, or to the end of a transfer; another login follows.
func dies(command string) []step {
	return append([]step{{Expect: command, End: ftptest.Close}}, login...)
}

// storesUnconfirmed is a transfer whose final reply never comes.
func storesUnconfirmed(path, text string) []step {
	return slices.Concat(stores(path, text)[:2], dies(""))
}

func TestUploadsWhoseReplyIsLost(t *testing.T) {
	const text, hidden, final = "hello", "/site/" + temp, "/site/a.txt"
	complete := slices.Concat(absent(final), stores(hidden, text), sized(hidden, 5), setsTime(hidden))
	for _, row := range []struct {
		name     string
		want     Result
		verified string
		steps    []step
	}{
		{"all was sent and is there: it is not sent again", Done, "size, on a new connection as the final reply was lost",
			slices.Concat(absent(final), storesUnconfirmed(hidden, text), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5))},
		{"a farewell in place of the reply is no better", Done, "size, on a new connection as the final reply was lost",
			slices.Concat(absent(final), stores(hidden, text)[:2], []step{{Send: "421 Timeout.", End: ftptest.Close}}, login,
				sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5))},
		{"not all is there: the part is removed", Failed, "",
			slices.Concat(absent(final), storesUnconfirmed(hidden, text), sized(hidden, 3), []step{{Expect: "DELE " + hidden, Send: "250 Gone."}})},
		{"nothing is there", Failed, "",
			slices.Concat(absent(final), storesUnconfirmed(hidden, text), absent(hidden), absent(hidden), []step{{Expect: "DELE " + hidden, Send: "550 No such file."}})},
		{"the rename was carried out", Done, "size",
			slices.Concat(complete, []step{{Expect: "RNFR " + hidden, Send: "350 And?"}}, dies("RNTO "+final),
				[]step{{Expect: "SIZE " + hidden, Send: "550 No such file."}, {Expect: "CWD " + hidden, Send: "550 No such file or directory."}}, has(final, 5))},
		{"the rename was not", Done, "size",
			slices.Concat(complete, []step{{Expect: "RNFR " + hidden, Send: "350 And?"}}, dies("RNTO "+final), has(hidden, 5), renames(hidden, final), has(final, 5))},
		{"the rename was carried out, and something else is there", Failed, "",
			slices.Concat(complete, []step{{Expect: "RNFR " + hidden, Send: "350 And?"}}, dies("RNTO "+final),
				[]step{{Expect: "SIZE " + hidden, Send: "550 No such file."}, {Expect: "CWD " + hidden, Send: "550 No such file or directory."}}, has(final, 4))},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, local := source(t, text)
			o := do(t, dir, upload7(local), 1, nil, row.steps...)
			if o.Result != row.want || o.Verified != row.verified || (o.Base != nil) != (row.want == Done) {
				t.Errorf("outcome %v (%v), verified by %q, base %+v", o.Result, o.Err, o.Verified, o.Base)
			}
		})
	}
}

func TestDownloadsWhoseReplyIsLost(t *testing.T) {
	const final = "/site/a.txt"
	remote := entry.Entry{Kind: entry.File, Size: 5, ModTime: stamped, Precision: time.Second}
	var dir string
	retrieves := func(text string) []step {
		here := func() {
			for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if info, err := os.Stat(filepath.Join(dir, temp)); err == nil && info.Size() == int64(len(text)) {
					return
				}
			}
		}
		return slices.Concat([]step{{Expect: "EPSV", Passive: true},
			{Expect: "RETR " + final, Send: "150 Here it comes.", Data: &ftptest.Data{Send: text, End: ftptest.Close}}, {Call: here}}, dies(""))
	}
	for _, row := range []struct {
		name     string
		want     Result
		file     string // content afterwards
		verified string
		steps    []step
	}{
		{"all has come and nothing changed", Done, "hello", "size, on a new connection as the final reply was lost",
			slices.Concat(has(final, 5), retrieves("hello"), sized(final, 5), has(final, 5))},
		{"the file changed meanwhile", Stale, "", "", slices.Concat(has(final, 5), retrieves("hello"), sized(final, 5), has(final, 6))},
		{"the file is longer now", Failed, "", "", slices.Concat(has(final, 5), retrieves("hello"), sized(final, 6))},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir = t.TempDir()
			op := plan.Op{Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: remote}}
			o := do(t, dir, op, 1, nil, row.steps...)
			if o.Result != row.want || o.Verified != row.verified {
				t.Errorf("outcome %v (%v), verified by %q", o.Result, o.Err, o.Verified)
			}
			content, _ := os.ReadFile(filepath.Join(dir, "a.txt"))
			if string(content) != row.file {
				t.Errorf("the file holds %q, want %q", content, row.file)
			}
		})
	}
	t.Run("not all has come: nobody connects for that", func(t *testing.T) {
		op := plan.Op{Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: remote}}
		dir = t.TempDir()
		steps := slices.Concat(has(final, 5), retrieves("hel"))
		if o := doCut(t, dir, op, 1, nil, steps[:len(steps)-len(login)]...); o.Result != Failed {
			t.Errorf("outcome %v (%v)", o.Result, o.Err)
		}
	})
}

// TestTheSecondAttemptFindsTheWorkDone: what is asked of a folder or of a file to delete is simply asked again.
func TestTheSecondAttemptFindsTheWorkDone(t *testing.T) {
	folder := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Dir}}
	file := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 5, ModTime: stamped, Precision: time.Second}}
	seen := plan.Side{Knowledge: plan.Seen}
	gone := func(path string) []step {
		return []step{{Expect: "SIZE " + path, Send: "550 No such file."}, {Expect: "CWD " + path, Send: "550 No such file or directory."}}
	}
	for _, row := range []struct {
		name          string
		op            plan.Op
		first, second []step
		reason        string
	}{
		{"a folder was made", plan.Op{Action: plan.MakeRemoteDir, Path: "d", Local: folder, Remote: seen},
			[]step{{Expect: "MKD /site/d", End: ftptest.Close}},
			[]step{{Expect: "MKD /site/d", Send: "550 File exists."}, {Expect: "CWD /site/d", Send: "250 Here."}}, ""},
		{"a file was deleted", plan.Op{Action: plan.DeleteRemote, Path: "a.txt", Local: seen, Remote: file},
			slices.Concat(has("/site/a.txt", 5), []step{{Expect: "DELE /site/a.txt", End: ftptest.Close}}), gone("/site/a.txt"), "was gone already"},
		{"a folder was deleted", plan.Op{Action: plan.DeleteRemote, Path: "e", Local: seen, Remote: folder},
			[]step{{Expect: "SIZE /site/e", Send: "550 No."}, {Expect: "CWD /site/e", Send: "250 Here."}, {Expect: "RMD /site/e", End: ftptest.Close}},
			gone("/site/e"), "was gone already"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "d"), 0o777); err != nil {
				t.Fatal(err)
			}
			o := doCut(t, dir, row.op, 1, nil, row.first...)
			if class := ftpclient.Classify(o.Err); o.Result != Failed || class != ftpclient.ClassConnection {
				t.Errorf("first: outcome %v, class %v of %v", o.Result, class, o.Err)
			}
			o = do(t, dir, row.op, 2, nil, row.second...)
			if o.Result != Done || !strings.Contains(o.Reason, row.reason) {
				t.Errorf("second: outcome %v %q (%v)", o.Result, o.Reason, o.Err)
			}
		})
	}
}
