package work

import (
	"context"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// spelled returns how the path is spelled on the server if what answers there under it is named otherwise, in another case: such
// servers take both for the same name. It is "" where listings show the very name, or nothing like it.
func (o *op) spelled(ctx context.Context) (string, error) {
	folder := "."
	names := strings.Split(o.Path, "/")
	for i, name := range names {
		listed, _, err := o.remote.Read(ctx, folder)
		if IsAbsent(err) || err == nil && listed.Unknown != "" {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		other := ""
		for _, found := range listed.Names {
			if found.Name == name || other != name && strings.EqualFold(found.Name, name) {
				other = found.Name
			}
		}
		switch other {
		case name:
			folder = path.Join(folder, name)
		case "":
			return "", nil
		default:
			return path.Join(folder, other, path.Join(names[i+1:]...)), nil
		}
	}
	return "", nil
}

// respelled reports whether a path that is to be deleted here is gone from the server, though that still answers to it. On a disk
// that tells no case apart either, kept is the spelling on the server of what would be deleted.
func (o *op) respelled(ctx context.Context, local entry.Entry) (gone bool, kept string, err error) {
	other, err := o.spelled(ctx)
	if err != nil || other == "" {
		return false, "", err
	}
	same, err := scan.StatLocal(o.root, other)
	if err != nil {
		return false, "", err
	}
	if same.Kind != entry.Absent && sameID(same, local) {
		kept = other
	}
	return true, kept, nil
}
