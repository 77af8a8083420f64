//go:build amd64 || arm64

package scan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// direntsAtOnce is how many bytes of names are read at a time, as the kernel tells them: 1,000 names at least.
	direntsAtOnce = 1 << 18
	// tryFirst is how many files are looked at to find out how long a look takes, and aloneUpTo how many more are not worth waking
	// another processor for.
	tryFirst, aloneUpTo = 16, 48
	// slowLook is how long a look takes that has to wait for a disk or a network, and slowLooks how many such are made at a time.
	slowLook, slowLooks = 20 * time.Microsecond, 16
	// fastLooks is how many are made at a time where none has to wait.
	fastLooks = 4
)

// dirents are names of a folder in the form in which the kernel tells them: see getdents(2).
type dirents struct {
	raw []byte
	// at are the places in raw where the names begin that are not "." or "..", each of which ends with a zero byte.
	at []int
}

var direntsPool = sync.Pool{New: func() any { return &dirents{raw: make([]byte, direntsAtOnce)} }}

// lookInto looks at all that is in an open folder, in the order in which the filesystem tells the names: that is how they lie on disk.
// There is no piece of memory for each name, and no path that has to be walked for each file. unseen is for one that could not be
// looked at, err is for the folder.
func lookInto(dir *os.File) (names []Named, unseen, err error) {
	conn, err := dir.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	found := direntsPool.Get().(*dirents)
	defer direntsPool.Put(found)
	controlErr := conn.Control(func(handle uintptr) {
		names = []Named{}
		for {
			n, readErr := readDirents(int(handle), found.raw)
			if readErr != nil {
				err = &fs.PathError{Op: "readdirent", Path: dir.Name(), Err: readErr}
				return
			}
			if n == 0 {
				return
			}
			if !found.split(n) {
				err = &fs.PathError{Op: "readdirent", Path: dir.Name(), Err: errors.New("the system tells names that nobody can read")}
				return
			}
			var failed error
			if names, failed = found.look(int(handle), names); failed != nil {
				unseen = failed
			}
		}
	})
	return names, unseen, errors.Join(err, controlErr)
}

func readDirents(handle int, into []byte) (n int, err error) {
	for {
		if n, err = unix.Getdents(handle, into); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// split finds the names in the first n bytes.
func (d *dirents) split(n int) bool {
	const header = int(unsafe.Offsetof(unix.Dirent{}.Name))
	d.at = d.at[:0]
	for start := 0; start < n; {
		if n-start < header {
			return false
		}
		length := int(binary.NativeEndian.Uint16(d.raw[start+int(unsafe.Offsetof(unix.Dirent{}.Reclen)):]))
		if length <= header || length > n-start || bytes.IndexByte(d.raw[start+header:start+length], 0) < 0 {
			return false
		}
		name := d.name(start + header)
		if string(name) != "." && string(name) != ".." && binary.NativeEndian.Uint64(d.raw[start:]) != 0 {
			d.at = append(d.at, start+header)
		}
		start += length
	}
	return true
}

// name is what begins at a place and ends before a zero byte.
func (d *dirents) name(at int) []byte {
	return d.raw[at : at+bytes.IndexByte(d.raw[at:], 0)]
}

// look appends what is at the names. What is gone by now is left out: the next event or scan tells.
func (d *dirents) look(handle int, names []Named) (_ []Named, unseen error) {
	if len(d.at) == 0 {
		return names, nil
	}
	length, first := 0, len(names)
	for _, at := range d.at {
		length += len(d.name(at))
	}
	var text strings.Builder
	text.Grow(length)
	for _, at := range d.at {
		text.Write(d.name(at))
	}
	all := text.String()
	if first == 0 {
		names = make([]Named, 0, len(d.at))
	}
	for _, at := range d.at {
		length := len(d.name(at))
		names = append(names, Named{Name: all[:length]})
		all = all[length:]
	}
	unseen = d.lookAll(handle, names[first:])
	there := slices.DeleteFunc(names[first:], func(n Named) bool { return n.Kind == entry.Absent })
	return names[:first+len(there)], unseen
}

// lookAll looks at all of the names, at several at a time where that pays. It returns one of the errors.
func (d *dirents) lookAll(handle int, names []Named) error {
	first := min(tryFirst, len(names))
	began := time.Now()
	unseen := d.lookAt(handle, names, 0, first)
	atOnce := looksAtOnce(time.Since(began), first, len(names)-first, runtime.GOMAXPROCS(0))
	return cmp.Or(unseen, d.lookBeside(handle, names, first, atOnce))
}

// looksAtOnce says how many looks to make at a time, if there are so many left and the first ones took so long. It is pure.
func looksAtOnce(took time.Duration, first, left, processors int) int {
	if took > time.Duration(first)*slowLook {
		return min(slowLooks, left)
	}
	return min(fastLooks, processors, left/aloneUpTo+1)
}

// lookBeside looks at the names from a place on, at several at a time.
func (d *dirents) lookBeside(handle int, names []Named, from, atOnce int) error {
	if atOnce <= 1 {
		return d.lookAt(handle, names, from, len(names))
	}
	failed := make([]error, atOnce)
	share := func(i int) int { return from + (len(names)-from)*i/atOnce }
	var others sync.WaitGroup
	for i := 1; i < atOnce; i++ {
		others.Go(func() { failed[i] = d.lookAt(handle, names, share(i), share(i+1)) })
	}
	failed[0] = d.lookAt(handle, names, from, share(1))
	others.Wait()
	return cmp.Or(failed...)
}

// lookAt looks at the names from one place to another. What could not be looked at is Absent, and the error says so of the last of these.
func (d *dirents) lookAt(handle int, names []Named, from, to int) (unseen error) {
	var stat unix.Stat_t
	for i := from; i < to; i++ {
		switch err := lstatAt(handle, &d.raw[d.at[i]], &stat); err {
		case 0:
			names[i].Entry = entryOf(&stat)
		case unix.ENOENT:
		default:
			unseen = &fs.PathError{Op: "lstat", Path: names[i].Name, Err: err}
		}
	}
	return unseen
}

// lstatAt looks at a name in an open folder without following a link there. The name ends with a zero byte, as the kernel has told it:
// package unix would copy each one.
func lstatAt(handle int, name *byte, stat *unix.Stat_t) unix.Errno {
	for {
		_, _, err := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(handle), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(stat)),
			unix.AT_SYMLINK_NOFOLLOW, 0, 0)
		if err != unix.EINTR {
			return err
		}
	}
}

// entryOf is LocalEntry of what the system says.
func entryOf(stat *unix.Stat_t) entry.Entry {
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return entry.Entry{
			Kind: entry.File, Size: stat.Size, ModTime: writable(time.Unix(stat.Mtim.Unix()).UTC()), Precision: time.Nanosecond, ID: stat.Ino,
		}
	case unix.S_IFDIR:
		return entry.Entry{Kind: entry.Dir, ID: stat.Ino}
	case unix.S_IFLNK:
		return entry.Entry{Kind: entry.Link}
	}
	return entry.Entry{Kind: entry.Other}
}
