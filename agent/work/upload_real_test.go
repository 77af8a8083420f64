package work

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestTemporaryNamesAreAsConfigured also has the folders of both names missing.
func TestTemporaryNamesAreAsConfigured(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name string
			form Upload
			want string
		}{
			{"prefix", Upload{TempPrefix: "~tmp-"}, "deep/er/~tmp-a.txt.ftpferry-0badcafe-7.1"},
			{"suffix", Upload{TempSuffix: ".part"}, "deep/er/a.txt.ftpferry-0badcafe-7.1.part"},
			{"folder", Upload{TempPrefix: ".", TempFolder: "in/coming"}, "in/coming/.a.txt.ftpferry-0badcafe-7.1"},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := first.again(t)
				b.sync.Upload = row.form
				b.write("deep/er/a.txt", "hello")
				o := b.mustUpload("deep/er/a.txt", 1)
				if want := path.Join(b.sync.Remote, row.want); o.Temp != want || o.Final != path.Join(b.sync.Remote, "deep/er/a.txt") {
					t.Errorf("wrote %q for %q, want %q", o.Temp, o.Final, want)
				}
				holds(t, b.remote, map[string]string{"deep/er/a.txt": "hello"})
				// The next version, and what a cut-off attempt has left of it.
				b.place(row.want, "he", 0o666)
				b.write("deep/er/a.txt", "hello again")
				b.mustUpload("deep/er/a.txt", 2)
				holds(t, b.remote, map[string]string{"deep/er/a.txt": "hello again"})
			})
		}
	})
}

func TestADirectUpload(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Direct = true
		for _, row := range []struct {
			name, there string
			planned     plan.Side
			attempt     int
			content     string
			want        Result
		}{
			{"a new file", "", plan.Side{Knowledge: plan.Seen}, 1, "hello", Done},
			{"over a longer one", "something longer", plan.Side{}, 1, "hello", Done},
			{"over what an attempt before has left in the middle", "hel", plan.Side{Knowledge: plan.Seen}, 2, "hello", Done},
			{"not over what somebody else has put there", "other", plan.Side{Knowledge: plan.Seen}, 1, "hello", Stale},
			{"not over what somebody else has put there since an attempt before", "other", plan.Side{Knowledge: plan.Seen}, 2, "hello", Stale},
			{"nor over what is longer than that can have left", "hello you", plan.Side{Knowledge: plan.Seen}, 2, "hello", Stale},
		} {
			remove := func() {
				if err := os.RemoveAll(filepath.Join(b.remote, "folder")); err != nil {
					t.Fatal(err)
				}
			}
			remove()
			b.write("folder/a.txt", row.content)
			if row.there != "" {
				b.place("folder/a.txt", row.there, 0o666)
			}
			op := plan.Op{Action: plan.Upload, Path: "folder/a.txt", Local: localSide(t, b, "folder/a.txt"), Remote: row.planned}
			o := b.do(t.Context(), op, row.attempt)
			if o.Result != row.want {
				t.Fatalf("%s: %v (%v) %s", row.name, o.Result, o.Err, o.Reason)
			}
			if len(b.said("RNFR"))+len(b.said("DELE")) > 0 {
				t.Errorf("%s: %q", row.name, b.commands)
			}
			if o.Result == Done && (o.Verified != "size" || o.Base.Remote.Size != 5 || o.Temp != o.Final) {
				t.Errorf("%s: %+v", row.name, o)
			}
			if o.Result == Done {
				holds(t, b.remote, map[string]string{"folder/a.txt": row.content})
			}
		}
	})
}

// TestADirectUploadThatNobodyCanLookAt: what a drop box has is what was sent. Where a listing shows it, that decides.
func TestADirectUploadThatNobodyCanLookAt(t *testing.T) {
	t.Run("drop box", func(t *testing.T) {
		onEach(t, ftptest.RealOptions{WriteOnly: true}, func(t *testing.T, b *bench) {
			b.sync.Direct = true
			b.write("a.txt", "hello")
			for range 2 {
				o := b.mustUpload("a.txt", 1)
				if o.Verified != "final reply, after 5 bytes" || o.Base.Remote.Size != 5 || !o.Base.Remote.ModTime.IsZero() {
					t.Errorf("%q, base %+v", o.Verified, o.Base)
				}
			}
			holds(t, b.remote, map[string]string{"a.txt": "hello"})
			b.sync.Direct = false
			if o := b.upload(t.Context(), "a.txt", 1); o.Result != Failed || !errors.Is(o.Err, errSize) {
				t.Errorf("with a temporary name: %v (%v)", o.Result, o.Err)
			}
		}, "vsftpd", "proftpd", "pyftpdlib")
	})
	t.Run("listed", func(t *testing.T) {
		onEach(t, ftptest.RealOptions{Deny: []string{"SIZE", "MLST"}}, func(t *testing.T, b *bench) {
			b.sync.Direct = true
			b.write("a.txt", "hello")
			if o := b.mustUpload("a.txt", 1); o.Verified != "size" {
				t.Errorf("%q", o.Verified)
			}
		}, "vsftpd", "proftpd")
	})
}

func TestPermissionsOfUploadedFiles(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		mode := func() os.FileMode {
			info, err := os.Stat(filepath.Join(b.remote, "a.txt"))
			if err != nil {
				t.Fatal(err)
			}
			return info.Mode()
		}
		b.write("a.txt", "hello")
		b.sync.Mode = 0o640
		b.mustUpload("a.txt", 1)
		if got := mode(); got != 0o640 {
			t.Errorf("set: %v", got)
		}
		chmod := slices.IndexFunc(b.commands, func(c string) bool { return strings.HasPrefix(c, "SITE CHMOD") })
		rename := slices.IndexFunc(b.commands, func(c string) bool { return strings.HasPrefix(c, "RNFR") })
		if chmod < 0 || rename < chmod {
			t.Errorf("SITE CHMOD is no. %d, RNFR no. %d", chmod, rename)
		}
		if b.server.Name == "vsftpd" || b.server.Name == "pyftpdlib" {
			return // they do not tell permissions
		}
		// Without the option, what is replaced keeps them.
		b.sync.Mode = 0
		for _, old := range []os.FileMode{0o600, 0o644, 0o664, 0o755} {
			b.place("a.txt", "old content", old)
			b.mustUpload("a.txt", 1)
			if got := mode(); got != old {
				t.Errorf("replaced: %v, was %v", got, old)
			}
		}
	})
}

func TestAServerThatSetsNoPermissionsIsToldOfOnce(t *testing.T) {
	t.Parallel()
	for server, verb := range map[string]string{"vsftpd": "SITE", "proftpd": "SITE_CHMOD", "pyftpdlib": "SITE CHMOD"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, ftptest.Real(t, server, ftptest.RealOptions{Deny: []string{verb}}))
			b.sync.Mode = 0o600
			remarks := 0
			for i := range 3 {
				b.write("a.txt", strings.Repeat("x", i+1))
				if o := b.mustUpload("a.txt", 1); o.Reason != "" {
					remarks++
					if !strings.HasPrefix(o.Reason, "permissions not set: ") {
						t.Errorf("reason %q", o.Reason)
					}
				}
			}
			if remarks == 0 || remarks > 1 && b.conn.Facts().NoChmod {
				t.Errorf("told %d times", remarks)
			}
		})
	}
}

func TestWhatBecomesOfASourceThatWasSent(t *testing.T) {
	done := After{Move: func(rel string, now time.Time) string { return "done/" + now.Format("2006") + "/" + rel }}
	there := "done/" + time.Now().Format("2006") + "/"
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		send := func(content string) Outcome {
			t.Helper()
			b.write("in/a.txt", content)
			return b.mustUpload("in/a.txt", 1)
		}
		b.sync.Upload.After = After{Delete: true}
		if o := send("first"); !o.Forget || o.Base != nil || o.Reason != "deleted here" {
			t.Errorf("deleted: %+v", o)
		}
		holds(t, b.local, nil)
		b.sync.Upload.After = done
		for i, want := range []map[string]string{
			{there + "in/a.txt": "0"}, {there + "in/a.txt": "0", there + "in/a 2.txt": "1"},
			{there + "in/a.txt": "0", there + "in/a 2.txt": "1", there + "in/a 3.txt": "2"},
		} {
			if o := send(fmt.Sprint(i)); !o.Forget || !strings.HasPrefix(o.Reason, "moved to "+there) {
				t.Errorf("moved: %+v", o)
			}
			holds(t, b.local, want)
		}
		holds(t, b.remote, map[string]string{"in/a.txt": "2"})

		// Cut off between the rename and the move: nothing is sent again.
		b.sync.Upload.After = After{}
		b.write("in/a.txt", "more")
		op := plan.Op{Action: plan.Upload, Path: "in/a.txt", Local: localSide(t, b, "in/a.txt")}
		b.do(t.Context(), op, 1)
		b.sync.Upload.After = After{Delete: true}
		if o := b.do(t.Context(), op, 2); !o.Forget || len(b.said("STOR")) > 0 || o.Reason != "was there already; deleted here" {
			t.Errorf("after a crash: %+v", o)
		}
		// And between the move and the commit.
		if o := b.do(t.Context(), op, 3); o.Result != Done || !o.Forget || len(b.said("STOR")) > 0 {
			t.Errorf("after another crash: %+v", o)
		}
		// Somebody writes to it while it is sent for the second time.
		b.write("in/a.txt", "even more")
		op.Local = localSide(t, b, "in/a.txt")
		b.mu.Lock()
		b.hear = func(command string) {
			if strings.HasPrefix(command, "RNTO") {
				b.write("in/a.txt", "changed since")
			}
		}
		b.mu.Unlock()
		if o := b.do(t.Context(), op, 1); o.Result != Done || o.Forget || !o.Replan || o.Base == nil {
			t.Errorf("changed since: %+v", o)
		}
		if content, err := os.ReadFile(filepath.Join(b.local, "in/a.txt")); string(content) != "changed since" {
			t.Errorf("changed since: %q (%v)", content, err)
		}
	}, "vsftpd", "pure-ftpd")
}

// TestASourceThatIsInStepGoes: equal times are no proof on a server that keeps none, but what both sides agreed on is.
func TestASourceThatIsInStepGoes(t *testing.T) {
	onEach(t, ftptest.RealOptions{Deny: []string{"MLST", "MFMT", "MDTM"}}, func(t *testing.T, b *bench) {
		b.write("a.txt", "hello")
		o := b.mustUpload("a.txt", 1)
		if !o.Base.Remote.ModTime.IsZero() {
			t.Errorf("the server tells the time %v", o.Base.Remote.ModTime)
		}
		b.state.base = &state.Baseline{Path: "a.txt", Local: o.Base.Local, Remote: o.Base.Remote}
		b.sync.Upload.After = After{Delete: true}
		if o := b.mustUpload("a.txt", 1); !o.Forget || len(b.said("STOR")) > 0 {
			t.Errorf("%+v", o)
		}
	}, "vsftpd", "pyftpdlib")
}

func TestRemoteNames(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.RemoteName = func(rel string, modified time.Time) string {
			stem := strings.TrimSuffix(rel, path.Ext(rel))
			return stem + "_" + modified.Format("20060102") + path.Ext(rel)
		}
		b.write("in/a.txt", "hello")
		if o := b.mustUpload("in/a.txt", 1); o.Final != path.Join(b.sync.Remote, "in/a_20200229.txt") {
			t.Errorf("final name %q", o.Final)
		}
		holds(t, b.remote, map[string]string{"in/a_20200229.txt": "hello"})
		if o := b.mustUpload("in/a.txt", 2); o.Reason != "was there already" {
			t.Errorf("again: %+v", o)
		}
	}, "proftpd", "pyftpdlib")
}

func localSide(t *testing.T, b *bench, name string) plan.Side {
	t.Helper()
	info, err := os.Lstat(filepath.Join(b.local, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}
}

// TestTheNextFileOfANameIsSent though it has the size and the time of the one before, which is forgotten.
func TestTheNextFileOfANameIsSent(t *testing.T) {
	for name, o := range map[string]ftptest.RealOptions{"vsftpd": {}, "proftpd": {Modules: []string{"digest"}}} {
		t.Run(name, func(t *testing.T) {
			onEach(t, o, func(t *testing.T, b *bench) {
				b.sync.Upload.After = After{Delete: true}
				for _, row := range []struct {
					content string
					attempt int
					stored  int
				}{
					{"first", 1, 1}, {"other", 1, 1}, {"other", 1, map[string]int{"vsftpd": 1, "proftpd": 0}[name]},
					{"third", 2, 1}, {"third", 2, 0}, // the attempt before has come to nothing, or as far as this
				} {
					b.write("a.txt", row.content)
					if o := b.mustUpload("a.txt", row.attempt); !o.Forget || len(b.said("STOR")) != row.stored {
						t.Errorf("%s: stored %d times: %s", row.content, len(b.said("STOR")), o.Reason)
					}
					holds(t, b.local, nil)
					holds(t, b.remote, map[string]string{"a.txt": row.content})
				}
			}, name)
		})
	}
}
