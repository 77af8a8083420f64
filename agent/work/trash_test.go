package work

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
)

// TestDeletedFilesGoToTheTrash of their side, and nothing that is there already is replaced.
func TestDeletedFilesGoToTheTrash(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, action := range []plan.Action{plan.DeleteRemote, plan.DeleteLocal} {
			t.Run(string(action), func(t *testing.T) {
				b := first.again(t)
				put, root := b.offer, b.remote
				b.sync.Rules.Direction = plan.Up
				if action == plan.DeleteLocal {
					put, root = b.write, b.local
					b.sync.Rules.Direction = plan.Down
				}
				b.sync.Rules.Delete, b.sync.Trash = true, "trash/can"
				day := "trash/can/" + time.Now().Format(time.DateOnly) + "/"
				drop := func(name, content string) {
					t.Helper()
					put(name, content)
					o := mustBe(t, Done, b.do(t.Context(), b.planned(action, name), 1))
					if !o.Forget || !strings.HasPrefix(o.Verified, "moved to ") {
						t.Errorf("%s: forget %v, %s", name, o.Forget, o.Verified)
					}
				}
				drop("d/a.txt", "one")
				drop("d/a.txt", "two")
				drop("d/a.txt", "three")
				if err := os.Remove(filepath.Join(root, "d")); err != nil {
					t.Fatal(err)
				}
				drop("d", "a file now")
				drop("e", "a file")
				drop("e/f/g", "under a folder of that name")
				holds(t, root, map[string]string{
					day + "d/a.txt": "one", day + "d/a 2.txt": "two", day + "d/a 3.txt": "three", day + "d 2": "a file now",
					day + "e": "a file", day + "e 2/f/g": "under a folder of that name",
				})
				put("empty/x", "")
				os.Remove(filepath.Join(root, "empty/x"))
				o := mustBe(t, Done, b.do(t.Context(), b.planned(action, "empty"), 1))
				if strings.HasPrefix(o.Verified, "moved") {
					t.Error("an empty folder went to the trash")
				}
				if o := b.do(t.Context(), b.planned(action, "d/a.txt"), 2); o.Result != Done || !strings.Contains(o.Reason, "gone already") {
					t.Errorf("after a crash: %v %q", o.Result, o.Reason)
				}
			})
		}
	}, "vsftpd", "proftpd")
}

// TestNothingIsDeletedWithoutTheTrash: a server that does not rename keeps its file.
func TestNothingIsDeletedWithoutTheTrash(t *testing.T) {
	onEach(t, ftptest.RealOptions{Deny: []string{"RNFR", "RNTO"}}, func(t *testing.T, b *bench) {
		b.sync.Rules.Delete, b.sync.Trash = true, ".trash"
		b.offer("a.txt", "one")
		o := mustBe(t, Failed, b.do(t.Context(), b.planned(plan.DeleteRemote, "a.txt"), 1))
		if !strings.Contains(o.Err.Error(), "nothing was deleted") {
			t.Errorf("the reason is %v", o.Err)
		}
		holds(t, b.remote, map[string]string{"a.txt": "one"})
	}, "vsftpd", "proftpd")
}

// TestThePurgeRemovesOldDaysOnly: no younger ones, nothing else in the trash, nothing that a link leads to.
func TestThePurgeRemovesOldDaysOnly(t *testing.T) {
	young := time.Now().AddDate(0, 0, -2).Format(time.DateOnly)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, kind := range []string{KindPurgeRemote, KindPurgeLocal} {
			t.Run(kind, func(t *testing.T) {
				b := first.again(t)
				put, root := b.offer, b.remote
				if kind == KindPurgeLocal {
					put, root = b.write, b.local
				}
				b.sync.Trash, b.sync.TrashKeep = "trash", 30*24*time.Hour
				put("trash/2020-01-31/d/e/a", "old")
				put("trash/2020-01-31/b", "old")
				put("trash/2020-02-01/c", "old")
				put("trash/"+young+"/a", "young")
				put("trash/2020-02-02/a", "old")
				put("trash/2020-02-31/a", "no day")
				put("trash/2020-01-01x/a", "no day")
				put("trash/readme", "no day")
				put("2020-01-01/a", "not in the trash")
				put("precious/deep/file", "not in the trash")
				put("precious/file", "not in the trash")
				for link, target := range map[string]string{
					"trash/2020-01-31/link": "../../precious", "trash/2020-01-31/d/file": "../../../precious/file",
					"trash/2020-01-30": "../precious", "trash/2020-02-02/broken": "nowhere",
				} {
					if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
						t.Fatal(err)
					}
				}
				filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
					if err == nil && e.IsDir() {
						os.Chmod(path, 0o777)
					}
					return nil
				})
				o := mustBe(t, Done, b.job(queue.New{Kind: kind, Sync: "s"}))
				if strings.Contains(o.Reason, "not all could be") {
					if kind == KindPurgeLocal || b.server.Name != "proftpd" && b.server.Name != "pyftpdlib" { // which do not show such links
						t.Error(o.Reason)
					}
					os.RemoveAll(filepath.Join(root, "trash/2020-02-02"))
				}
				os.Remove(filepath.Join(root, "trash/2020-01-30")) // a link to a folder is no folder: it may stay or go
				holds(t, root, map[string]string{
					"trash/" + young + "/a": "young", "trash/2020-02-31/a": "no day", "trash/2020-01-01x/a": "no day", "trash/readme": "no day",
					"2020-01-01/a": "not in the trash", "precious/deep/file": "not in the trash", "precious/file": "not in the trash",
				})
				if left, err := os.ReadDir(filepath.Join(root, "trash")); err != nil || len(left) != 4 {
					t.Errorf("left in the trash: %v (%v)", left, err)
				}
			})
		}
	})
}

// job carries out one that is no operation.
func (b *bench) job(job queue.New) Outcome {
	return Do(b.t.Context(), Env{Sync: b.sync, State: b.state, Instance: instance, Connect: b.connect}, queue.Job{ID: 7, New: job, Claims: 1})
}

// TestAPurgeComesInPieces, so that it holds up nobody.
func TestAPurgeComesInPieces(t *testing.T) {
	b := &bench{t: t, local: t.TempDir(), state: &knownState{}}
	b.sync = Sync{Name: "s", Local: b.local, Trash: "trash", TrashKeep: time.Hour}
	folder := filepath.Join(b.local, "trash", "2020-01-01")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range mostPurged + 10 {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if o := mustBe(t, Done, b.job(queue.New{Kind: KindPurgeLocal, Sync: "s"})); !o.More {
		t.Error("all went at once")
	}
	if o := mustBe(t, Done, b.job(queue.New{Kind: KindPurgeLocal, Sync: "s"})); o.More {
		t.Error("not all went")
	}
	if left, _ := os.ReadDir(filepath.Join(b.local, "trash")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWhichDaysAreOver(t *testing.T) {
	p := &purging{now: time.Date(2026, 3, 31, 12, 0, 0, 0, time.Local), keep: 30 * 24 * time.Hour}
	for name, want := range map[string]bool{
		"2026-02-28": true, "2026-03-01": false, "2026-03-31": false, "2027-01-01": false, "2026-02-30": false,
		"": false, "..": false, "2026-2-1": false, "02026-02-01": false, "2026-02-01 ": false, "1999-12-31": true,
	} {
		if got := p.over(name); got != want {
			t.Errorf("over(%q) = %v", name, got)
		}
	}
}

// TestAPurgeThatIsRefusedEverythingEnds, and does not go on: a server may show folders without end.
func TestAPurgeThatIsRefusedEverythingEnds(t *testing.T) {
	p := &purging{}
	var err error
	for n := 0; err == nil && n <= mostPurged; n++ {
		err = p.count(errors.New("refused"), true)
	}
	if o := p.outcome(err); !errors.Is(err, errEnough) || o.Result != Done || o.More || !strings.Contains(o.Reason, "not all could be: refused") {
		t.Errorf("%v: %+v", err, o)
	}
}
