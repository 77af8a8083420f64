package agent

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/scan"
)

func (s *simulation) wrongf(format string, values ...any) {
	s.t.Errorf("seed %d: "+format, append([]any{s.seed}, values...)...)
}

// inStep checks what must hold once all is quiet.
func (s *simulation) inStep() {
	s.lock.Lock()
	wrong := s.wrong
	s.lock.Unlock()
	for _, what := range wrong {
		s.wrongf("%s", what)
	}
	here := s.localFiles()
	s.written(here, here)
	for _, s.site = range s.sites {
		far := s.remoteFiles()
		s.written(far, here)
		s.sameOnBoth(here, far)
		s.permitted(far)
	}
	for content, v := range s.facts {
		if !s.wasted[content] {
			s.isKept(content, v, here)
		}
	}
	s.agent(func(a *Agent) {
		if _, err := a.Pass(s.t.Context(), nil); err != nil { // that it runs, too
			s.t.Error(err)
		}
		plans, err := a.Plan(s.t.Context(), nil)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, p := range plans {
			if len(p.Ops) > 0 || p.Failure != "" {
				s.t.Logf("seed %d: a further plan: %+v", s.seed, p)
				s.wrongf("a further plan is not empty")
			}
		}
	})
}

// written checks that on one side there is nothing but what somebody has put somewhere.
func (s *simulation) written(side, here map[string]string) {
	for name, content := range side {
		if s.hidden(name) || s.isTorn(name, content, here) {
			continue
		}
		_, _, _, claim := scan.ParseClaimName(path.Base(name)) // a person has renamed its folder meanwhile, and is told
		if _, known := s.versions[content]; !known || scan.IsTemp(name) && !(claim && s.conflicts[name]) {
			s.wrongf("%s holds %d bytes that nobody has written", name, len(content))
		}
	}
}

// permitted checks the permissions of what was sent under a temporary name.
func (s *simulation) permitted(far map[string]string) {
	if s.sync.Mode == 0 || !s.sync.Atomic || !s.server.Abilities.Chmod {
		return
	}
	modes := s.server.Modes()
	for name, content := range far {
		if v := s.facts[content]; v != nil && v.here && modes["/site/"+name] != s.sync.Mode {
			s.wrongf("%s has the permissions %s", name, modes["/site/"+name])
		}
	}
}

// isTorn reports that it may be a part of an upload to the final name that was under way when its file was deleted or left out.
func (s *simulation) isTorn(name, content string, here map[string]string) bool {
	if s.sync.Atomic && !s.grows(name) {
		return false
	}
	if _, exists := here[name]; exists && s.takesPart(name) {
		return false
	}
	for known := range s.versions {
		if strings.HasPrefix(known, content) {
			return true
		}
	}
	return false
}

func (s *simulation) consumes() bool {
	return s.sync.AfterUpload != config.After{} || s.sync.AfterDownload != config.After{}
}

// hidden reports what no listing shows: what several attempts that failed before they could remove it have left there.
func (s *simulation) hidden(name string) bool {
	return s.server.Abilities.HideDots && scan.IsTemp(name) && strings.HasPrefix(path.Base(name), ".")
}

// takesPart is false for what no side has to have from the other.
func (s *simulation) takesPart(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	if s.hidden(name) {
		return false
	}
	if _, err := os.Lstat(filepath.Join(s.local, top)); top == "link" && err == nil {
		if _, err := os.Stat(filepath.Join(s.local, top)); err != nil {
			return false // what a link to nowhere stood for is unknown
		}
	}
	return !slices.Contains(s.sync.Hidden, top) && top != s.sync.TempFolder && !s.ignored(name) && !s.inConflict(name)
}

// sameOnBoth compares the sides, path by path.
func (s *simulation) sameOnBoth(here, far map[string]string) {
	source, target := here, far
	if s.sync.Direction == config.Down {
		source, target = far, here
	}
	expected := map[string]bool{}
	for name, content := range source {
		if !s.takesPart(name) {
			continue
		}
		if s.consumes() {
			s.wrongf("%s is still at the source: %s", name, s.nameOf(source, name))
			continue
		}
		to := s.targetName(name)
		expected[to] = true
		if other, ok := target[to]; (!ok || other != content) && !s.isForeign(other) {
			s.wrongf("%s is not in step: %s here, %s there", name, s.nameOf(here, name), s.nameOf(far, to))
		}
	}
	for name := range target {
		if !expected[name] && s.takesPart(name) && (s.sync.Delete || s.sync.Direction == config.Both) {
			s.wrongf("%s is at the target only: %s", name, s.nameOf(target, name))
		}
	}
}

// isForeign reports that somebody may have put that, or nothing, at the target, and that it is to stay.
func (s *simulation) isForeign(content string) bool {
	if s.sync.Direction == config.Both || s.sync.OnForeignChange == config.ForeignRestore {
		return false
	}
	v, down := s.facts[content], s.sync.Direction == config.Down
	return content == "" || v != nil && (v.here == down || down && v.touchedHere || !down && v.touchedThere)
}

// targetName is the name on the server of a local file.
func (s *simulation) targetName(name string) string {
	if s.sync.RemoteName.IsZero() {
		return name
	}
	info, err := os.Stat(filepath.Join(s.local, filepath.FromSlash(name)))
	if err != nil {
		s.t.Fatal(err)
	}
	return path.Join(path.Dir(name), s.sync.RemoteName.Expand(name, info.ModTime(), time.Time{}))
}

// isKept checks that a version which nobody has thrown away is where it has to be.
func (s *simulation) isKept(content string, v *version, here map[string]string) {
	number, isHere, isFar := s.versions[content], holds(here, content), false
	for _, s.site = range s.sites {
		isFar = isFar || holds(s.remoteFiles(), content)
	}
	o := s.sync
	keepsForeign := o.OnForeignChange != config.ForeignRestore && (!o.Delete || o.Trash != "")
	switch o.Direction {
	case config.Both:
		if o.Conflict == config.ConflictCopy && !(isHere && isFar) && !((isHere || isFar) && (s.ignores || s.inConflictAnywhere())) {
			s.wrongf("version %d is lost: here %v, there %v", number, isHere, isFar)
		}
		if o.Conflict == config.ConflictAsk && !isHere && !isFar {
			s.wrongf("version %d is lost", number)
		}
	case config.Up:
		arrived := 0
		for name, times := range v.arrived {
			arrived = max(arrived, times)
			// Where times cannot be kept, what has arrived before a death cannot be told from the version before.
			if times > 1 && s.consumes() && !v.touchedThere && s.server.Abilities.MFMT {
				s.wrongf("version %d has arrived %d times at %s", number, times, name)
			}
		}
		if v.here && !isHere && !(o.AfterUpload.Delete && arrived > 0) {
			s.wrongf("version %d is lost here; it arrived %d times", number, arrived)
		}
		if !v.here && !isFar && keepsForeign {
			s.wrongf("version %d of somebody else is lost there", number)
		}
	case config.Down:
		if !v.here && !isFar && !(o.AfterDownload.Delete && (isHere || s.hasSuccessor(content, v))) {
			s.wrongf("version %d is lost there", number)
		}
		if v.here && !isHere && keepsForeign {
			s.wrongf("version %d of somebody else is lost here", number)
		}
	}
}

// hasSuccessor reports that a later version may have taken the place of this one, which was let go at its source: under the name
// that it had there, or the one that a person has given it there or here.
func (s *simulation) hasSuccessor(content string, v *version) bool {
	for other, w := range s.facts {
		if w.here == v.here && s.versions[other] > s.versions[content] && (w.name == v.name || v.touchedHere || v.touchedThere || w.touchedThere) {
			return true
		}
	}
	return false
}

// rootAway has an empty folder in the place of one that was not, which must stop the agent.
func (s *simulation) rootAway() {
	if s.random.IntN(4) > 0 || s.consumes() {
		return
	}
	s.turn()
	known := 0
	here, far := s.localFiles(), s.remoteFiles()
	for name := range here {
		if _, ok := far[s.targetName(name)]; ok && s.takesPart(name) {
			known++
		}
	}
	if known < 2 {
		return
	}
	away, remote := filepath.Join(s.folder, "away"), s.random.IntN(2) == 0
	if remote {
		s.server.Rename("/site", "/away")
		s.server.MakeDir("/site")
	} else if err := os.Rename(s.local, away); err != nil || os.Mkdir(s.local, 0o700) != nil {
		s.t.Fatal(err)
	}
	s.agent(func(a *Agent) {
		report, err := a.Pass(s.t.Context(), nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if report.Syncs[slices.Index(s.sites, s.site)].Halt == "" {
			s.wrongf("nobody halts at an empty folder in the place of a full one (remote %v): %+v", remote, report)
		}
	})
	if nowHere, nowFar := s.localFiles(), s.remoteFiles(); remote && (len(nowFar) > 0 || !maps.Equal(nowHere, here)) || !remote && (len(nowHere) > 0 || !maps.Equal(nowFar, far)) {
		s.wrongf("at an empty folder (remote %v): %d files here, %d there", remote, len(nowHere), len(nowFar))
	}
	if remote {
		s.server.Remove("/site")
		s.server.Rename("/away", "/site")
	} else if err := os.Remove(s.local); err != nil || os.Rename(away, s.local) != nil {
		s.t.Fatal(err)
	}
	s.pass(3)
}

// nothingDeleted checks that all is there that was there before a guard halted.
func (s *simulation) nothingDeleted(before map[*site]map[string]string, why string) {
	now := s.everywhere()
	for _, side := range []struct{ before, now map[string]string }{{before[nil], now[nil]}, {before[s.site], now[s.site]}} {
		for name, content := range side.before {
			if _, ok := side.now[name]; !ok && !holds(side.now, content) {
				s.wrongf("%s is gone after a halt (%s)", name, why)
			}
		}
	}
}

// everywhere is what is on all sites, and here at nil.
func (s *simulation) everywhere() map[*site]map[string]string {
	files := map[*site]map[string]string{nil: s.localFiles()}
	for _, site := range s.sites {
		files[site] = site.server.Files()
	}
	return files
}

// deleteOne has somebody delete a file at a quiet time, and looks what becomes of it on the other side.
func (s *simulation) deleteOne() {
	s.turn()
	here, far := s.localFiles(), s.remoteFiles()
	if s.consumes() || !s.sync.RemoteName.IsZero() || s.shifts && s.sync.OnForeignChange != config.ForeignRestore {
		return // what has another time may be somebody else's
	}
	for _, name := range slices.Sorted(maps.Keys(here)) {
		content := here[name]
		if far[name] != content || !s.takesPart(name) || name == "link" || s.brought[content] { // that may be somebody else's for its time
			continue
		}
		other := s.remoteFiles
		if fromHere := s.sync.Direction == config.Up || s.sync.Direction == config.Both && s.random.IntN(2) == 0; fromHere {
			if err := os.Remove(filepath.Join(s.local, filepath.FromSlash(name))); err != nil {
				s.t.Fatal(err)
			}
		} else {
			s.server.Remove("/site/" + name)
			other = s.localFiles
		}
		fmt.Fprintf(s, "%s PERSON deletes %s on one side, and all is quiet\n", time.Now().Format("15:04:05.000"), name)
		s.pass(5)
		_, stays := other()[name]
		if stays == s.sync.Delete {
			s.wrongf("%s was deleted on one side; on the other it is still there: %v", name, stays)
		}
		if s.sync.Trash != "" && !holds(other(), content) {
			s.wrongf("%s was deleted on one side, and is not in the trash of the other", name)
		}
		return
	}
}

// inConflict reports whether a path, or one above it, is left to a person.
func (s *simulation) inConflict(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if s.conflicts[name] {
			return true
		}
	}
	return false
}

func (s *simulation) inConflictAnywhere() bool { return len(s.conflicts) > 0 }

func holds(side map[string]string, content string) bool {
	return slices.Contains(slices.Collect(maps.Values(side)), content)
}

func (s *simulation) nameOf(side map[string]string, name string) string {
	content, ok := side[name]
	if !ok {
		return "nothing"
	}
	return fmt.Sprintf("version %d", s.versions[content])
}

// localFiles are the contents of all files here that could take part, and of those that links lead to where these are followed.
func (s *simulation) localFiles() map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(s.local, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		link := d.Type()&fs.ModeSymlink != 0
		if link && s.sync.Links != config.LinksFollow || d.Name() == ".ferryignore" {
			return nil
		}
		rel, _ := filepath.Rel(s.local, name)
		if link {
			return s.followed(files, name, rel)
		}
		content, err := os.ReadFile(name)
		files[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// followed adds the files that a link leads to.
func (s *simulation) followed(files map[string]string, name, rel string) error {
	to, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil // nowhere
	}
	return filepath.WalkDir(to, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		below, _ := filepath.Rel(to, name)
		content, err := os.ReadFile(name)
		files[path.Join(rel, filepath.ToSlash(below))] = string(content)
		return err
	})
}

// remoteFiles are the contents of all files below the folder on the server.
func (s *simulation) remoteFiles() map[string]string {
	files := map[string]string{}
	for name, content := range s.server.Files() {
		if rel, ok := strings.CutPrefix(name, "/site/"); ok {
			files[rel] = content
		}
	}
	return files
}
