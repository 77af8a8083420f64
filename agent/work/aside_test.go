package work

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

const conflictName = "d/a (conflict 2020-02-29 123456 host).txt"

// TestTheLoserOfAConflictIsSetAside on its own side, whatever is there already, and only if it still is what was seen.
func TestTheLoserOfAConflictIsSetAside(t *testing.T) {
	second := plan.Numbered(conflictName, 2)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name    string
			action  plan.Action
			attempt int
			before  func(b *bench)
			want    Result
			also    string
			here    map[string]string
			there   map[string]string
		}{
			{"the remote one", plan.SetAsideRemote, 1, nil, Done, conflictName,
				map[string]string{"d/a.txt": "here"}, map[string]string{conflictName: "far"}},
			{"the local one", plan.SetAsideLocal, 1, nil, Done, conflictName,
				map[string]string{conflictName: "here"}, map[string]string{"d/a.txt": "far"}},
			{"the remote one, beside an older one", plan.SetAsideRemote, 1, func(b *bench) { b.offer(conflictName, "old") }, Done, second,
				map[string]string{"d/a.txt": "here"}, map[string]string{conflictName: "old", second: "far"}},
			{"the local one, beside an older one", plan.SetAsideLocal, 1, func(b *bench) { b.write(conflictName, "old") }, Done, second,
				map[string]string{conflictName: "old", second: "here"}, map[string]string{"d/a.txt": "far"}},
			{"the remote one has changed", plan.SetAsideRemote, 1, func(b *bench) { b.offer("d/a.txt", "newer") }, Stale, "",
				map[string]string{"d/a.txt": "here"}, map[string]string{"d/a.txt": "newer"}},
			{"the local one has changed", plan.SetAsideLocal, 1, func(b *bench) { b.write("d/a.txt", "newer") }, Stale, "",
				map[string]string{"d/a.txt": "newer"}, map[string]string{"d/a.txt": "far"}},
			{"the winner here has changed", plan.SetAsideRemote, 1, func(b *bench) { b.write("d/a.txt", "newer") }, Stale, "",
				map[string]string{"d/a.txt": "newer"}, map[string]string{"d/a.txt": "far"}},
			{"the winner on the server is gone", plan.SetAsideLocal, 1, func(b *bench) { remove(b, "d/a.txt") }, Stale, "",
				map[string]string{"d/a.txt": "here"}, nil},
			{"the last attempt has set the remote one aside", plan.SetAsideRemote, 2,
				func(b *bench) { b.offer(conflictName, "older"); rename(b, "d/a.txt", second) }, Done, second,
				map[string]string{"d/a.txt": "here"}, map[string]string{conflictName: "older", second: "far"}},
			{"the last attempt has set the local one aside", plan.SetAsideLocal, 2,
				func(b *bench) { os.Rename(filepath.Join(b.local, "d/a.txt"), filepath.Join(b.local, conflictName)) }, Done, conflictName,
				map[string]string{conflictName: "here"}, map[string]string{"d/a.txt": "far"}},
			{"the remote one is gone", plan.SetAsideRemote, 1, func(b *bench) { remove(b, "d/a.txt") }, Stale, "", map[string]string{"d/a.txt": "here"}, nil},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := first.again(t)
				b.sync.Rules.Direction = plan.Both
				b.write("d/a.txt", "here")
				b.offer("d/a.txt", "far")
				op := b.planned(row.action, "d/a.txt")
				op.To = conflictName
				if row.before != nil {
					row.before(b)
				}
				o := mustBe(t, row.want, b.do(t.Context(), op, row.attempt))
				if also := strings.Join(o.Also, ","); also != row.also || !o.Replan || o.Forget != (row.want == Done) {
					t.Errorf("also %q, replan %v, forget %v", also, o.Replan, o.Forget)
				}
				holds(t, b.local, row.here)
				holds(t, b.remote, row.there)
			})
		}
	}, "vsftpd", "proftpd")
}

// TestWhatIsTheSameIsNotSetAside, whatever its times are. Other content of the same size is.
func TestWhatIsTheSameIsNotSetAside(t *testing.T) {
	large := strings.Repeat("the same on both sides ", 50_000)
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name, here, far string
			same            bool
		}{
			{"the same", "here", "here", true},
			{"nothing", "", "", true},
			{"much", large, large, true},
			{"another one of the same size", "here", "hera", false},
			{"a large one that differs at its beginning", large, "T" + large[1:], false},
			{"a large one that differs at its end", large, large[:len(large)-1] + ".", false},
		} {
			for _, action := range []plan.Action{plan.SetAsideRemote, plan.SetAsideLocal} {
				t.Run(row.name+"/"+string(action), func(t *testing.T) {
					b := first.again(t)
					b.sync.Rules.Direction = plan.Both
					b.write("d/a.txt", row.here)
					b.offer("d/a.txt", row.far)
					op := b.planned(action, "d/a.txt")
					op.To = conflictName
					o := mustBe(t, Done, b.do(t.Context(), op, 1))
					here, far := map[string]string{"d/a.txt": row.here}, map[string]string{"d/a.txt": row.far}
					switch {
					case row.same:
						if o.Base == nil || o.Base.Local != op.Local.Entry || o.Base.Remote != op.Remote.Entry || o.Forget || o.Replan || !o.Already {
							t.Errorf("%+v", o)
						}
					case action == plan.SetAsideRemote:
						far = map[string]string{conflictName: row.far}
					default:
						here = map[string]string{conflictName: row.here}
					}
					holds(t, b.local, here)
					holds(t, b.remote, far)
				})
			}
		}
	}, "vsftpd", "proftpd")
}

// TestNothingIsRenamedOverAnything: not even what comes between look and rename, where the system has such a rename.
func TestNothingIsRenamedOverAnything(t *testing.T) {
	folder := t.TempDir()
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, rename := range map[string]func(*os.Root, string, string) error{"of the system": renameNew, "by look": lookThenRename} {
		os.WriteFile(filepath.Join(folder, "from"), []byte("from"), 0o666)
		os.WriteFile(filepath.Join(folder, "to"), []byte("to"), 0o666)
		if err := rename(root, "from", "to"); !os.IsExist(err) {
			t.Errorf("%s: %v", name, err)
		}
		holds(t, folder, map[string]string{"from": "from", "to": "to"})
		os.Remove(filepath.Join(folder, "to"))
		if err := rename(root, "from", "to"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		holds(t, folder, map[string]string{"to": "from"})
	}
}
