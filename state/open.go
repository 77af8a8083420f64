package state

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	defaultLockTimeout = time.Second
	// newSuffix and compactSuffix name the files beside the state file in which a new one and a
	// compact one are made. What a crash leaves of them is in nobody's way.
	newSuffix     = ".new"
	compactSuffix = ".compact"
)

// replacesOpenFiles: a file can be renamed over another while both are open. Where it cannot, there is a moment in which
// no lock protects the files, so nothing is compacted there.
const replacesOpenFiles = runtime.GOOS != "windows"

// prepare looks at the surroundings of the file and makes its folder.
func (db *DB) prepare(o Options) error {
	folder := filepath.Dir(db.path)
	if !o.AllowNetworkFilesystem {
		// A folder still to be made will be on the file system of its first ancestor.
		existing := folder
		for {
			if _, err := os.Stat(existing); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(existing) == existing {
				break
			}
			existing = filepath.Dir(existing)
		}
		kind, err := networkFilesystem(existing)
		if err != nil {
			return fmt.Errorf("find the file system of %s: %w", existing, err)
		}
		if kind != "" {
			return fmt.Errorf("%s is on %s: %w", existing, kind, ErrNetworkFilesystem)
		}
	}
	if !o.ReadOnly {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
	}
	info, err := os.Stat(db.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !o.ReadOnly:
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w (it is not a regular file)", ErrCorrupt)
	case info.Size() == 0:
		// Never what a new file looks like, see create; the engine would begin a new one.
		return fmt.Errorf("%w (the file is empty)", ErrCorrupt)
	}
	return nil
}

// openEngine opens and locks the file that is at the path, which is another one when it was replaced by a compact one
// meanwhile: a process that waits for the lock waits for the file that it has opened, whatever its name is now.
func (db *DB) openEngine(o Options) error {
	timeout := o.LockTimeout
	if timeout <= 0 {
		timeout = defaultLockTimeout
	}
	for start := time.Now(); ; {
		left := max(timeout-time.Since(start), time.Millisecond)
		if !o.ReadOnly {
			if err := db.create(o, left); err != nil {
				return err
			}
		}
		err := db.lock(db.path, 0, o, left)
		if errors.Is(err, fs.ErrNotExist) && !o.ReadOnly && time.Since(start) < timeout {
			continue // moved away just now
		}
		if err != nil {
			return err
		}
		ours, err := db.isAt(db.path)
		if ours {
			return db.verify(o)
		}
		_ = db.engine.Close() // nothing was written
		if err == nil && time.Since(start) >= timeout {
			err = ErrLocked
		}
		if err != nil {
			return err
		}
	}
}

// create makes the file if it is missing, under another name first: so an empty or half-made file at the path is damage
// and never the beginning of a new one, and of several processes that begin at once all end with the same file. Only who
// holds the lock of the file with the other name may give it its own.
func (db *DB) create(o Options, timeout time.Duration) error {
	path := target(db.path)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	making := &DB{path: path + newSuffix}
	if err := making.lock(making.path, os.O_CREATE, o, timeout); err != nil {
		return err
	}
	ours, err := making.isAt(making.path)
	if err != nil || !ours {
		_ = making.engine.Close()
		return err // the file at the path is there now, or the next try makes it
	}
	ownerOfFolder(making.file, filepath.Dir(path))
	if !replacesOpenFiles {
		_ = making.engine.Close()
	}
	if _, err = os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(making.path, path)
	} else {
		err = os.Remove(making.path)
	}
	_ = making.engine.Close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process was faster
	}
	return err
}

// target follows symbolic links from path to the name that a new file must be given. The last one need not lead anywhere.
func target(path string) string {
	for range 40 { // as many as Linux follows
		next, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(path), next)
		}
		path = next
	}
	return path
}

// lock opens the file with that name in the engine and locks it. With os.O_CREATE in flags it makes the file.
func (db *DB) lock(name string, flags int, o Options, timeout time.Duration) (err error) {
	// Damaged pages make the engine panic, and a file cut short makes its memory map fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if db.file != nil {
				unlock(db.file)
				_ = db.file.Close()
			}
			err = damage(p)
		}
	}()
	db.engine, err = bolt.Open(name, 0o600, &bolt.Options{
		Timeout:      timeout,
		FreelistType: bolt.FreelistMapType,
		ReadOnly:     o.ReadOnly,
		MaxSize:      int(min(o.MaxSize, math.MaxInt)),
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(name, flag&^os.O_CREATE|flags, mode)
			db.file = file
			return file, err
		},
	})
	return err
}

// isAt says whether the open file is the one that a name leads to now.
func (db *DB) isAt(name string) (bool, error) {
	open, err := db.file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(open, there), err
}

// verify looks for damage that would end the process when the engine met it: it follows page numbers wherever they lead,
// for ever if need be. It reads few pages; DB.Check reads them all.
func (db *DB) verify(o Options) error {
	if meta, err := readMetaPage(db.file); err == nil && meta != nil && meta.alone {
		// The engine goes on from the one before. Nothing that was reported as done is missing after a power loss, but
		// damage that came later takes the last commit with it.
		db.warn(o, "the last commit to the state file is not readable, going on from the one before", errors.New("one of the first two pages is damaged"))
	}
	var first error
	err := checkPages(db.file, false, func(text string) {
		if first == nil {
			first = fmt.Errorf("%w (%s)", ErrCorrupt, text)
		}
	})
	if err = errors.Join(first, err); err != nil {
		_ = db.engine.Close()
		return err
	}
	return nil
}

// classify puts the sentinel that a person needs around an error of the engine or of the system.
func (db *DB) classify(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrCorrupt): // which comes with its reason
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w (%w)", ErrCorrupt, err)
	case isFull(err):
		return fmt.Errorf("%w (%w)", ErrFull, err)
	case isDenied(err):
		return fmt.Errorf("%w (%w)", ErrDenied, err)
	}
	// The engine has no sentinel for a file that ends within its first two pages.
	if info, statErr := os.Stat(db.path); statErr == nil && info.Mode().IsRegular() && info.Size() < 2*int64(os.Getpagesize()) {
		return fmt.Errorf("%w (%w)", ErrCorrupt, err)
	}
	return err
}

func damage(p any) error { return fmt.Errorf("%w (%v)", ErrCorrupt, p) }
