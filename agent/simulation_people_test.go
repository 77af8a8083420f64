package agent

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/trigger"
)

// edit does what people do: n times, on the sides that are said. Every content is unlike all others, in its length too: what
// has the same length and the same second cannot be told from what was there.
func (s *simulation) edit(n int, local, remote bool) {
	for range n {
		time.Sleep(time.Duration(1+s.random.IntN(90)) * time.Second)
		s.turn()
		switch here := s.random.IntN(2) == 0; {
		case s.ignores && local && s.random.IntN(8) == 0:
			s.editIgnore()
		case len(s.sync.Append) > 0 && local && s.random.IntN(3) == 0:
			s.editLog()
		case s.links && local && s.random.IntN(8) == 0:
			s.editLink()
		case local && remote && s.random.IntN(8) == 0:
			s.editFolder(here)
		case local && remote && s.random.IntN(8) == 0:
			s.bringOver(here)
		case here && local || !remote:
			s.editLocal()
		default:
			s.editRemote()
		}
	}
}

// simulatedNames has a name that is a file for one and a folder for another.
var simulatedNames = []string{"a", "b", "c.txt", "x/a", "x/b", "x/y/c", "z", "z/d"}

// name is one of them, or one in another case where that is the same one on the server.
func (s *simulation) name() string {
	names := simulatedNames
	if len(s.sync.Append) > 0 && s.random.IntN(4) == 0 {
		names = simulatedLogs
	}
	name := pick(s.random, names...)
	if s.server.Abilities.IgnoreCase && name == "b" && s.random.IntN(2) == 0 {
		return "B"
	}
	return name
}

// simulatedFolders are renamed and deleted as a whole.
var simulatedFolders = []string{"x", "x/y", "z", "w"}

// in returns the files that are at a path or below it.
func in(files map[string]string, top string) map[string]string {
	found := map[string]string{}
	for name, content := range files {
		if name == top || strings.HasPrefix(name, top+"/") {
			found[name] = content
		}
	}
	return found
}

// editFolder renames or deletes a folder here or there.
func (s *simulation) editFolder(here bool) {
	from, to := simulatedFolders[s.random.IntN(len(simulatedFolders))], simulatedFolders[s.random.IntN(len(simulatedFolders))]
	remove := s.random.IntN(2) == 0
	if here {
		for _, content := range in(s.localFiles(), from) {
			s.touch(content, true)
		}
		if info, err := os.Lstat(filepath.Join(s.local, from)); err != nil || !info.IsDir() {
			return
		}
		what := "deletes"
		if remove {
			for _, content := range in(s.localFiles(), from) {
				s.waste(content)
			}
			if err := os.RemoveAll(filepath.Join(s.local, from)); err != nil {
				s.t.Fatal(err)
			}
		} else if _, err := os.Lstat(filepath.Join(s.local, to)); err == nil || os.Rename(filepath.Join(s.local, from), filepath.Join(s.local, to)) != nil {
			return
		} else {
			what = "renames to " + to
		}
		defer s.tell(from, to)
		fmt.Fprintf(s, "%s PERSON %s folder %s here\n", time.Now().Format("15:04:05.000"), what, from)
		return
	}
	folders, files := s.server.Folders(), s.server.Files()
	source, target := "/site/"+from, "/site/"+to
	for _, content := range in(files, source) {
		s.touch(content, false)
	}
	if !slices.Contains(folders, source) {
		return
	}
	if remove {
		for _, content := range in(files, source) {
			s.waste(content)
		}
		s.server.Remove(source)
		fmt.Fprintf(s, "%s PERSON deletes folder %s there\n", time.Now().Format("15:04:05.000"), from)
		return
	}
	if _, taken := files[target]; taken || slices.Contains(folders, target) || strings.HasPrefix(target, source+"/") || !slices.Contains(folders, path.Dir(target)) {
		return
	}
	s.server.Rename(source, target)
	fmt.Fprintf(s, "%s PERSON renames folder %s to %s there\n", time.Now().Format("15:04:05.000"), from, to)
}

// bringOver has a person put what one side has at a name there on the other side, too, at another time and by other means.
func (s *simulation) bringOver(fromHere bool) {
	here, far := s.localFiles(), s.remoteFiles()
	from, to := here, far
	if !fromHere {
		from, to = far, here
	}
	name := pick(s.random, simulatedNames...)
	content, exists := from[name]
	old, replaced := to[name]
	// What goes when it has arrived, gets permissions or another name there, or grows, has to be brought by the agent.
	if s.consumes() || s.sync.Mode != 0 || !s.sync.RemoteName.IsZero() || s.server.Abilities.IgnoreCase || s.links || s.grows(name) || !exists || content == old {
		return
	}
	side := "here"
	if fromHere {
		side = "there"
		for above := name; above != "."; above = path.Dir(above) {
			if _, isFile := far[above]; isFile && above != name || slices.Contains(s.server.Folders(), "/site/"+name) {
				return
			}
		}
		s.server.Put("/site/"+name, content, time.Now())
	} else {
		aside, full := filepath.Join(s.folder, "aside"), filepath.Join(s.local, filepath.FromSlash(name))
		if os.MkdirAll(filepath.Dir(full), 0o700) != nil {
			return // a file is in the way
		}
		if err := os.WriteFile(aside, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
		now := time.Now()
		if err := os.Chtimes(aside, now, now); err != nil {
			s.t.Fatal(err)
		}
		if os.Rename(aside, full) != nil {
			return // a folder has the name
		}
		defer s.tell(name)
	}
	s.touch(content, true)
	s.touch(content, false)
	if replaced {
		s.waste(old)
	}
	s.brought[content] = true
	fmt.Fprintf(s, "%s PERSON brings version %d of %s over: it is %s, too\n", time.Now().Format("15:04:05.000"), s.versions[content], name, side)
}

// content is one that nobody has written before, with that beginning.
func (s *simulation) content(name string, here bool, beginning string) string {
	s.lock.Lock()
	defer s.lock.Unlock()
	number := len(s.versions) + 1
	content := beginning + strings.Repeat(fmt.Sprintf("version %d of seed %d\n", number, s.seed), 1+s.random.IntN(60))
	content += strings.Repeat(".", number)
	for _, taken := s.versions[content]; taken; _, taken = s.versions[content] {
		content += "."
	}
	for other := range s.versions {
		if len(other) == len(content) {
			content += strings.Repeat("+", 5000+number)
			break
		}
	}
	s.versions[content] = number
	s.facts[content] = &version{here: here, name: name, arrived: map[string]int{}, placed: time.Now()}
	return content
}

// version is what is known about a content.
type version struct {
	here    bool           // written on this side
	name    string         // relative, when it was written
	arrived map[string]int // how often the server got it under a name that is no temporary one
	// A person has renamed or replaced a copy of it.
	touchedHere, touchedThere bool
	placed                    time.Time // when a person last had to do with a copy of it
}

func (s *simulation) waste(content string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.wasted[content] = true
}

// touch notes that a person had to do with a copy on one side.
func (s *simulation) touch(content string, here bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if v := s.facts[content]; v != nil {
		v.touchedHere, v.touchedThere = v.touchedHere || here, v.touchedThere || !here
		v.placed = time.Now()
	}
}

// tell has the agent, if one runs, see what has changed, or some of it.
func (s *simulation) tell(paths ...string) {
	d := s.live.Load()
	if d == nil || !s.watched || s.random.IntN(4) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if s.random.IntN(10) == 0 {
		paths = nil
	}
	slices.Sort(paths)
	for _, site := range s.sites {
		d.emit(ctx, trigger.Event{Sync: site.member, Paths: paths, Why: "watch"}) // an event that is lost is one of many
	}
}

// simulatedPatterns are what people write into .ferryignore, and whether that leaves a file out.
var simulatedPatterns = map[string]func(name string) bool{
	"":            func(string) bool { return false },
	"c.txt\n":     func(name string) bool { return path.Base(name) == "c.txt" },
	"x/y/\n":      func(name string) bool { return strings.HasPrefix(name, "x/y/") },
	"b\n!/b\n":    func(name string) bool { return name != "b" && slices.Contains(strings.Split(name, "/"), "b") },
	"/z\n":        func(name string) bool { return name == "z" || strings.HasPrefix(name, "z/") },
	"/x/\n":       func(name string) bool { return strings.HasPrefix(name, "x/") },
	"/x/*\n!y/\n": func(name string) bool { return path.Dir(name) == "x" },
}

func (s *simulation) editIgnore() {
	texts := slices.Sorted(maps.Keys(simulatedPatterns))
	text := texts[s.random.IntN(len(texts))]
	if err := os.WriteFile(filepath.Join(s.local, ".ferryignore"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s, "%s PERSON ignores %q\n", time.Now().Format("15:04:05.000"), text)
	s.tell(".ferryignore")
}

// ignored reports whether a name is left out by what is in .ferryignore now.
func (s *simulation) ignored(name string) bool {
	text, err := os.ReadFile(filepath.Join(s.local, ".ferryignore"))
	if err != nil {
		return false
	}
	return simulatedPatterns[string(text)](name)
}

// editLink makes a link, to a file, to a folder, to nothing or out of the folder, or removes it.
func (s *simulation) editLink() {
	link := filepath.Join(s.local, "link")
	os.Remove(link)
	to := pick(s.random, "", "a", "x", "nowhere", "../aside", "x/y/c")
	if to != "" {
		if err := os.Symlink(to, link); err != nil {
			s.t.Fatal(err)
		}
	}
	fmt.Fprintf(s, "%s PERSON links to %q\n", time.Now().Format("15:04:05.000"), to)
	s.tell("link")
}

// shift moves the times that the server tells.
func (s *simulation) shift() {
	by := pick(s.random, time.Hour, -time.Hour)
	s.server.Shift(by)
	fmt.Fprintf(s, "%s SERVER's times move by %s\n", time.Now().Format("15:04:05.000"), by)
}

func (s *simulation) editLocal() {
	name := s.name()
	files := s.localFiles()
	full := filepath.Join(s.local, filepath.FromSlash(name))
	old, exists := files[name]
	if exists {
		s.touch(old, true)
	}
	switch act := s.random.IntN(10); {
	case act < 6 || !exists:
		if os.MkdirAll(filepath.Dir(full), 0o700) != nil {
			return // a file is in the way
		}
		content := s.content(name, true, "")
		// Written aside: a person's editor does not leave half of a file to be found.
		aside := filepath.Join(s.folder, "aside")
		if err := os.WriteFile(aside, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
		now := time.Now()
		if err := os.Chtimes(aside, now, now); err != nil {
			s.t.Fatal(err)
		}
		if now, ok := s.localFiles()[name]; ok {
			s.waste(now)
		}
		if err := os.Rename(aside, full); err != nil {
			s.waste(content) // a folder has the name
			return
		}
		defer s.tell(name)
		fmt.Fprintf(s, "%s PERSON writes version %d to %s here\n", now.Format("15:04:05.000"), s.versions[content], name)
	case act < 8:
		s.waste(old)
		if err := os.Remove(full); err != nil {
			s.t.Fatal(err)
		}
		defer s.tell(name)
		fmt.Fprintf(s, "%s PERSON deletes %s here\n", time.Now().Format("15:04:05.000"), name)
	default:
		to := s.name()
		target := filepath.Join(s.local, filepath.FromSlash(to))
		if to == name || os.MkdirAll(filepath.Dir(target), 0o700) != nil {
			return
		}
		replaced, over := files[to]
		if os.Rename(full, target) == nil {
			if over {
				s.waste(replaced)
			}
			defer s.tell(name, to)
			fmt.Fprintf(s, "%s PERSON renames %s to %s here\n", time.Now().Format("15:04:05.000"), name, to)
		}
	}
}

func (s *simulation) editRemote() {
	name := "/site/" + s.name()
	files := s.server.Files()
	for known := range files {
		if s.server.Abilities.IgnoreCase && strings.EqualFold(known, name) {
			name = known
		}
	}
	old, exists := files[name]
	for _, folder := range s.server.Folders() {
		if folder == name {
			return
		}
	}
	for above := path.Dir(name); above != "/"; above = path.Dir(above) {
		if _, isFile := files[above]; isFile {
			return
		}
	}
	if exists {
		s.touch(old, false)
	}
	switch act := s.random.IntN(10); {
	case act < 6 || !exists:
		content := s.content(strings.TrimPrefix(name, "/site/"), false, "")
		if exists {
			s.waste(old)
		}
		s.server.Put(name, content, time.Now())
		fmt.Fprintf(s, "%s PERSON writes version %d to %s there\n", time.Now().Format("15:04:05.000"), s.versions[content], name)
	case act < 8:
		s.waste(old)
		s.server.Remove(name)
		fmt.Fprintf(s, "%s PERSON deletes %s there\n", time.Now().Format("15:04:05.000"), name)
	default:
		to := "/site/" + s.name()
		if _, taken := files[to]; taken || to == name || slices.Contains(s.server.Folders(), to) || !slices.Contains(s.server.Folders(), path.Dir(to)) {
			return
		}
		s.server.Rename(name, to)
		fmt.Fprintf(s, "%s PERSON renames %s to %s there\n", time.Now().Format("15:04:05.000"), name, to)
	}
}
