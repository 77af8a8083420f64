package work

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// replace puts another file at a local name, as programs do that write a new one first.
func (b *bench) replace(name, content string) {
	b.t.Helper()
	b.write(name+".new", content)
	if err := os.Rename(filepath.Join(b.local, name+".new"), filepath.Join(b.local, name)); err != nil {
		b.t.Fatal(err)
	}
}

// TestASourceThatIsReplacedAtTheLastMomentStays, with the size and the time of the one that was sent.
func TestASourceThatIsReplacedAtTheLastMomentStays(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.write("a.txt", "first")
		b.sync.Upload.After = After{Move: func(rel string, _ time.Time) string {
			b.replace(rel, "other") // it was looked at, and has not been moved
			return "done/" + rel
		}}
		if o := b.mustUpload("a.txt", 1); o.Forget || !o.Replan || !strings.HasSuffix(o.Reason, "kept") {
			t.Errorf("%+v", o)
		}
		holds(t, b.local, map[string]string{"a.txt": "other"})
		holds(t, b.remote, map[string]string{"a.txt": "first"})
	}, "vsftpd")
}

// TestAFileThatIsOpenedSinceItWasSentStays: a program has it open for writing before it would go, and nothing else tells of that.
func TestAFileThatIsOpenedSinceItWasSentStays(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // nothing tells there
	}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.write("a.txt", "first")
		b.sync.Upload.After, b.sync.Settle = After{Delete: true}, time.Millisecond
		var program *os.File
		b.mu.Lock()
		b.hear = func(command string) {
			if strings.HasPrefix(command, "RNTO ") {
				var err error
				if program, err = os.OpenFile(filepath.Join(b.local, "a.txt"), os.O_WRONLY, 0); err != nil {
					t.Error(err)
				}
			}
		}
		b.mu.Unlock()
		o := b.do(t.Context(), plan.Op{Action: plan.Upload, Path: "a.txt", Local: localSide(t, b, "a.txt"), Remote: plan.Side{Knowledge: plan.Seen}, Ready: true}, 1)
		if mustBe(t, Done, o); o.Forget || !o.Replan || o.Base == nil || !strings.Contains(o.Reason, scan.Written) {
			t.Errorf("%+v", o)
		}
		holds(t, b.local, map[string]string{"a.txt": "first"})
		holds(t, b.remote, map[string]string{"a.txt": "first"})
		if program != nil {
			program.Close()
		}
	}, "vsftpd")
}

// TestWhatIsLeftOfAPartingIsLookedAt: the attempt before was killed between the other name and the deletion.
func TestWhatIsLeftOfAPartingIsLookedAt(t *testing.T) {
	parting := scan.ClaimName("a.txt", instance, 7)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name        string
			left, there string
			here        map[string]string
		}{
			{"it is the file that was sent", "", "", nil},
			{"and another one has come since", "", "newer", map[string]string{"a.txt": "newer"}},
			{"it was replaced at the last moment", "other", "", map[string]string{"a.txt": "other"}},
			{"it was replaced, and once more", "other", "newer", map[string]string{"a.txt": "newer", "a 2.txt": "other"}},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := first.again(t)
				b.write("a.txt", "first")
				op := plan.Op{Action: plan.Upload, Path: "a.txt", Local: localSide(t, b, "a.txt")}
				mustBe(t, Done, b.do(t.Context(), op, 1))
				b.sync.Upload.After = After{Delete: true}
				if row.left != "" {
					b.replace("a.txt", row.left)
				}
				if err := os.Rename(filepath.Join(b.local, "a.txt"), filepath.Join(b.local, parting)); err != nil {
					t.Fatal(err)
				}
				if row.there != "" {
					b.write("a.txt", row.there)
					os.Chtimes(filepath.Join(b.local, "a.txt"), stamped, stamped.Add(time.Hour))
				}
				if row.left != "" && row.there == "" {
					os.Chtimes(filepath.Join(b.local, parting), stamped, stamped.Add(time.Hour))
				}
				if o := b.do(t.Context(), op, 2); o.Result == Failed {
					t.Errorf("%v", o.Err)
				}
				holds(t, b.local, row.here)
				holds(t, b.remote, map[string]string{"a.txt": "first"})
			})
		}
	}, "vsftpd")
}

// TestARemoteFileThatIsReplacedAtTheLastMomentStays, whether the sync claims files or not.
func TestARemoteFileThatIsReplacedAtTheLastMomentStays(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Rules.Direction, b.sync.Download.After = plan.Down, After{Delete: true}
		b.offer("a.txt", "first")
		op := b.planned(plan.Download, "a.txt")
		b.mu.Lock()
		b.hear = func(command string) {
			if strings.HasPrefix(command, "DELE ") {
				b.offer("a.txt", "other")
			}
		}
		b.mu.Unlock()
		mustBe(t, Done, b.download(t.Context(), op, 1))
		holds(t, b.local, map[string]string{"a.txt": "first"})
		holds(t, b.remote, map[string]string{"a.txt": "other"})
	})
}

// TestADownloadedFileThatMayNotGoKeepsItsName, and one goes by its own name where nothing can be renamed.
func TestADownloadedFileThatMayNotGoKeepsItsName(t *testing.T) {
	for _, row := range []struct {
		deny  string
		want  Result
		there map[string]string
	}{
		{"DELE", Failed, map[string]string{"a.txt": "first"}},
		{"RNFR", Done, nil},
	} {
		t.Run(row.deny, func(t *testing.T) {
			onEach(t, ftptest.RealOptions{Deny: []string{row.deny}}, func(t *testing.T, b *bench) {
				b.sync.Rules.Direction, b.sync.Download.After = plan.Down, After{Delete: true}
				b.offer("a.txt", "first")
				mustBe(t, row.want, b.download(t.Context(), b.planned(plan.Download, "a.txt"), 1))
				holds(t, b.local, map[string]string{"a.txt": "first"})
				holds(t, b.remote, row.there)
			}, "vsftpd", "proftpd")
		})
	}
}

// TestNothingGoesForAFileThatOnlyEndsLikeIt: size, time and the last 64 KiB are the same.
func TestNothingGoesForAFileThatOnlyEndsLikeIt(t *testing.T) {
	content := noise(200<<10, 3)
	other := "X" + content[1:]
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		t.Run("up", func(t *testing.T) {
			b := first.again(t)
			b.sync.Upload.After = After{Delete: true}
			b.offer("a.bin", other)
			b.write("a.bin", content)
			b.mustUpload("a.bin", 2)
			holds(t, b.local, nil)
			holds(t, b.remote, map[string]string{"a.bin": content})
		})
		t.Run("down", func(t *testing.T) {
			b := first.again(t)
			b.sync.Rules.Direction, b.sync.Download.After = plan.Down, After{Delete: true}
			b.offer("a.bin", content)
			b.write("a.bin", other)
			o := b.download(t.Context(), b.planned(plan.Download, "a.bin"), 2)
			if o.Result == Done {
				holds(t, b.local, map[string]string{"a.bin": content})
			} else {
				holds(t, b.remote, map[string]string{"a.bin": content})
			}
		})
	}, "vsftpd", "pure-ftpd")
}

// TestAFileThatOnlyLooksLikeTheSourceIsKept where somebody else's files are not to be replaced, and so is the source. If they hold the
// same, the source goes.
func TestAFileThatOnlyLooksLikeTheSourceIsKept(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			foreign plan.Foreign
			action  plan.Action
			size    int
		}{
			{plan.ForeignKeep, plan.Upload, 100}, {plan.ForeignConflict, plan.Upload, 200 << 10},
			{plan.ForeignKeep, plan.Download, 200 << 10}, {plan.ForeignConflict, plan.Download, 100},
		} {
			t.Run(fmt.Sprint(row.action, row.size), func(t *testing.T) {
				content := noise(row.size, 3)
				other := "X" + content[1:]
				b := first.again(t)
				b.sync.Rules.Foreign, b.sync.Rules.Consume = row.foreign, true
				source, target := b.local, b.remote
				if row.action == plan.Upload {
					b.sync.Rules.Direction, b.sync.Upload.After = plan.Up, After{Delete: true}
				} else {
					b.sync.Rules.Direction, b.sync.Download.After = plan.Down, After{Delete: true}
					source, target = target, source
				}
				b.write("a.bin", content)
				b.offer("a.bin", other)
				if o := mustBe(t, Failed, b.do(t.Context(), b.planned(row.action, "a.bin"), 1)); !errors.Is(o.Err, ErrTwin) {
					t.Error(o.Err)
				}
				holds(t, b.local, map[string]string{"a.bin": content})
				holds(t, b.remote, map[string]string{"a.bin": other})
				b.offer("a.bin", content)
				mustBe(t, Done, b.do(t.Context(), b.planned(row.action, "a.bin"), 1))
				holds(t, source, nil)
				holds(t, target, map[string]string{"a.bin": content})
			})
		}
	}, "vsftpd", "pure-ftpd")
}

// TestNothingIsChangedThroughALinkThatWasPlanted between a look and the change.
func TestNothingIsChangedThroughALinkThatWasPlanted(t *testing.T) {
	local := t.TempDir()
	for _, name := range []string{"precious/x", "precious/deep/x", "folder/x"} {
		full := filepath.Join(local, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(full), 0o777)
		os.WriteFile(full, []byte("precious"), 0o666)
	}
	link(t, "precious", local, "link")
	link(t, "../precious", local, "folder", "link")
	root, err := os.OpenRoot(local)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := &purging{}
	for _, name := range []string{"link", "folder/link"} {
		folder, err := plainFolder(root, filepath.Dir(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.local(t.Context(), folder, filepath.Base(name)); err != nil || p.refused == nil {
			t.Errorf("purge of %s: %v, %v", name, err, p.refused)
		}
		folder.Close()
		if err := removePlain(root, name+"/x"); err == nil {
			t.Errorf("removed %s/x", name)
		}
		if err := renameNew(root, name+"/x", "y"); err == nil && runtime.GOOS == "linux" {
			t.Errorf("renamed %s/x", name)
		}
	}
	if left := strings.Join(tree(t, local), " "); left != "folder/link folder/x link precious/deep/x precious/x" {
		t.Errorf("left: %v", left)
	}
}

// tree lists all that is no folder.
func tree(t *testing.T, root string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(root, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWhatIsReplacedHereKeepsItsPermissions, while it comes, too.
func TestWhatIsReplacedHereKeepsItsPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // which has none of these
	}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Rules.Direction = plan.Down
		for _, mode := range []os.FileMode{0o600, 0o440, 0o755} {
			b.write("a.txt", "old")
			local := filepath.Join(b.local, "a.txt")
			os.Chmod(local, mode)
			b.offer("a.txt", "secret")
			op := b.planned(plan.Download, "a.txt")
			b.mu.Lock()
			b.hear = func(command string) {
				if strings.HasPrefix(command, "RETR ") {
					part, err := os.Stat(filepath.Join(b.local, scan.TempName("a.txt", instance, 7, 1)))
					if err != nil || part.Mode() != mode|0o200 {
						t.Errorf("over %v: written with %v (%v)", mode, part, err)
					}
				}
			}
			b.mu.Unlock()
			mustBe(t, Done, b.download(t.Context(), op, 1))
			if info, err := os.Stat(local); err != nil || info.Mode() != mode {
				t.Errorf("over %v: %v (%v)", mode, info.Mode(), err)
			}
			os.Chmod(local, 0o600)
			b.state.intents = nil
		}
	}, "vsftpd")
}

// TestAFileThatDiffersInCaseAloneIsNotReplaced by one of its size and time, on a server that tells no identities.
func TestAFileThatDiffersInCaseAloneIsNotReplaced(t *testing.T) {
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.offer("A.txt", "first")
		b.offer("a.txt", "other")
		b.write("a.txt", "first")
		b.state.base = &state.Baseline{Path: "A.txt", Local: b.here("a.txt").Entry, Remote: b.far("A.txt").Entry}
		o := b.do(t.Context(), plan.Op{
			Action: plan.MoveRemote, From: "A.txt", Path: "a.txt", Local: b.here("a.txt"), Remote: plan.Side{Knowledge: plan.Seen},
		}, 1)
		mustBe(t, Stale, o)
		holds(t, b.remote, map[string]string{"A.txt": "first", "a.txt": "other"})
	}, "vsftpd")
}
