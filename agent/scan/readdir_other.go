//go:build !linux || !(amd64 || arm64)

package scan

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// readAtOnce is how many names of a folder are read at a time.
const readAtOnce = 1000

// lookInto looks at all that is in an open folder. unseen is for one that could not be looked at, err is for the folder.
func lookInto(dir *os.File) (names []Named, unseen, err error) {
	names = []Named{}
	for {
		found, err := dir.ReadDir(readAtOnce)
		for _, f := range found {
			info, err := f.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted since: the next event or scan tells
			}
			if err != nil {
				unseen = err
				continue
			}
			names = append(names, Named{Name: f.Name(), Entry: LocalEntry(info)})
		}
		if errors.Is(err, io.EOF) {
			return names, unseen, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}
