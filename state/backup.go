package state

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Backup writes a consistent copy of the file, as it is now, to a new file at path (mode 0600), which is on disk when
// Backup returns nil. It has that name only once it is whole. Writers may have to wait meanwhile: path should be on a
// local disk. It is an error that is fs.ErrExist if path exists.
func (db *DB) Backup(path string) error {
	if err := db.backup(path); err != nil {
		return &Error{Op: "back up", Path: db.path, Err: err}
	}
	return nil
}

func (db *DB) backup(path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.Remove(file.Name()); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	writer := &errorKeeper{Writer: file}
	err = db.View(func(tx *Tx) error {
		_, err := tx.engine.WriteTo(writer)
		return err
	})
	if writer.err != nil {
		err = writer.err // of which the engine keeps only the text
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err // which names the file
	}
	if err := markCopy(file.Name()); err != nil {
		return err
	}
	// Unlike a rename, a link does not replace what is there by now; some file systems have none.
	if err := os.Link(file.Name(), path); errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		if err := os.Rename(file.Name(), path); err != nil {
			return err
		}
	}
	return syncFolder(filepath.Dir(path))
}

// markCopy writes into a copy that it is one: by the time it is opened, the servers may not be as it says.
func markCopy(name string) error {
	copied := &DB{path: name, identities: newIdentities()}
	if err := copied.lock(name, 0, Options{}, defaultLockTimeout); err != nil {
		return err
	}
	err := copied.Update(func(tx *Tx) error { return tx.Table(tableMeta).Put(keyCopy, []byte("true")) })
	return errors.Join(err, copied.engine.Close())
}

// errorKeeper remembers the first error of a writer.
type errorKeeper struct {
	io.Writer
	err error
}

func (w *errorKeeper) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}
