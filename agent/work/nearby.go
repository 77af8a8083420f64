package work

import (
	"os"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
)

// rulesLife is for how long what ignore files say is not looked at again. A path that is planned after a change of them was
// left out by the plan, so this is only about what was under way at that moment.
const rulesLife = time.Second

// nearby is the local side of the uploads of a stream, with the folder open that their files are in. All of them only read there, and each
// makes sure that root and folder are what is at their paths.
type nearby struct {
	sync        string
	root        *os.Root
	top, folder *scan.Folder
	users       int // the stream, and each op that is not closed
	rules       *scan.Filtering
	asked       time.Time // when rules was made
}

// nearby opens what an upload of rel needs, or has it open; nil if it cannot be: the job finds out why.
func (s *Stream) nearby(e Env, rel string) *nearby {
	dir := path.Dir(rel)
	if dir == "." {
		dir = ""
	}
	if n := s.near; n != nil && n.sync == e.Sync.Name && n.goesTo(e, dir) {
		return n
	}
	s.forgets()
	root, err := openLocal(e)
	if err != nil {
		return nil
	}
	n := &nearby{sync: e.Sync.Name, root: root, users: 1}
	if n.top, err = n.local(e).OpenFolder(""); err != nil {
		root.Close()
		return nil
	}
	n.folder = n.top
	if !n.goesTo(e, dir) {
		n.release()
		return nil
	}
	s.near = n
	return n
}

// forgets closes what is open for uploads that follow.
func (s *Stream) forgets() {
	if s.near != nil {
		s.near.release()
		s.near = nil
	}
}

func (n *nearby) local(e Env) scan.Local { return scan.NewLocal(n.root, e.Sync.Rules) }

// goesTo opens the folder dir, if that is another one than before. false: something has been replaced, or it cannot be opened.
func (n *nearby) goesTo(e Env, dir string) bool {
	local := n.local(e)
	if n.folder.Rel() == dir {
		return n.folder.IsInPlace(local)
	}
	if !n.top.IsInPlace(local) {
		return false
	}
	folder, err := local.OpenFolder(dir)
	if err != nil {
		return false
	}
	n.leaves()
	n.folder = folder
	return true
}

// leaves closes the folder. An op that still is about a file in it goes by the root.
func (n *nearby) leaves() {
	if n.folder != n.top {
		n.folder.Close()
	}
}

// filtering is what takes part by the rules of about now.
func (n *nearby) filtering(sync Sync) *scan.Filtering {
	if now := time.Now(); n.rules == nil || now.Sub(n.asked) >= rulesLife {
		n.rules, n.asked = sync.Filter.In(scan.NewLocal(n.root, sync.Rules), now), now
	}
	return n.rules
}

// release closes all, if nobody else has it.
func (n *nearby) release() {
	if n.users--; n.users == 0 {
		n.leaves()
		n.top.Close()
		n.root.Close()
	}
}
