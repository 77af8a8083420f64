package trigger

import "path"

// tree holds the watched folders: for each the names of its watched sub-folders. The root is ""; the folder
// above any other is in it as well.
type tree map[string]map[string]struct{}

func (t tree) add(rel string) {
	if _, known := t[rel]; known {
		return
	}
	t[rel] = nil
	if rel == "" {
		return
	}
	above := parent(rel)
	if t[above] == nil {
		t[above] = make(map[string]struct{})
	}
	t[above][path.Base(rel)] = struct{}{}
}

// remove takes out a folder and all below it, and calls each for every one of them.
func (t tree) remove(rel string, each func(rel string)) {
	children, known := t[rel]
	if !known {
		return
	}
	for name := range children {
		t.remove(path.Join(rel, name), each)
	}
	delete(t, rel)
	delete(t[parent(rel)], path.Base(rel))
	each(rel)
}
