package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// sample makes what is sent: text, so that it can be compressed, no line of which is like another. It is made when it is wanted, as most
// programs never examine a server.
var sample = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&b, "line %4d of a file of ftpferry doctor, to be removed by it\n", i)
	}
	return b.Bytes()
})

// half is where samples are cut.
const half = 30000

// sampleName is the file that most probes work with.
const sampleName = "sample.txt"

func tryUpload(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	result, err := put(ctx, conn, e.path(sampleName), sample())
	if err != nil {
		if e.noRoom(err) {
			return "", nil, "", err
		}
		_, text := e.failure(conn, err)
		return Broken, nil, text, nil
	}
	detail := fmt.Sprintf("%d kB, as long as it should be, in %s", len(sample())/1000, Span(result.Duration))
	if _, err := conn.Size(ctx, e.path(sampleName)); err != nil {
		detail += "; without SIZE, sizes are those of listings: " + shortReply(err)
	}
	return Works, nil, detail, nil
}

func tryDownload(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	content, result, err := get(ctx, conn, e.path(sampleName), 0)
	switch {
	case err != nil:
		return "", nil, "", err
	case !bytes.Equal(content, sample()):
		return Broken, nil, fmt.Sprintf("other bytes than were sent: %d of %d", len(content), len(sample())), nil
	case !result.CleanEnd:
		return Works, nil, "the server does not end TLS properly, so that a cut file is seen by its size alone", nil
	}
	return Works, nil, "the same bytes, in " + Span(result.Duration).String(), nil
}

func tryStoreRestart(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	p := e.path("resumed.txt")
	if _, err := put(ctx, conn, p, sample()[:half]); err != nil {
		return "", nil, "", err
	}
	t, err := conn.Store(ctx, p, half)
	if err != nil {
		return "", nil, "", err
	}
	if _, err := send(ctx, t, sample()[half:]); err != nil {
		return "", nil, "", err
	}
	return compare(ctx, conn, p)
}

func tryAppend(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	p := e.path("appended.txt")
	if _, err := put(ctx, conn, p, sample()[:half]); err != nil {
		return "", nil, "", err
	}
	t, err := conn.Append(ctx, p)
	if err != nil {
		return "", nil, "", err
	}
	if _, err := send(ctx, t, sample()[half:]); err != nil {
		return "", nil, "", err
	}
	return compare(ctx, conn, p)
}

// compare tells whether the file p holds the sample.
func compare(ctx context.Context, conn *ftpclient.Conn, p string) (Verdict, any, string, error) {
	content, _, err := get(ctx, conn, p, 0)
	switch {
	case err != nil:
		return "", nil, "", err
	case !bytes.Equal(content, sample()):
		return Broken, nil, fmt.Sprintf("the file holds other bytes than were sent: %d of %d", len(content), len(sample())), nil
	}
	return Works, nil, "", nil
}

func tryRetrieveRestart(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	content, _, err := get(ctx, conn, e.path(sampleName), half)
	switch {
	case err != nil:
		return "", nil, "", err
	case bytes.Equal(content, sample()):
		return Broken, nil, "the server begins at the beginning, whatever it is asked", nil
	case !bytes.Equal(content, sample()[half:]):
		return Broken, nil, "other bytes come than are there", nil
	}
	return Works, nil, "", nil
}

func tryRenameOver(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	from, to := e.path("new.txt"), e.path("old.txt")
	if _, err := put(ctx, conn, to, []byte("old")); err != nil {
		return "", nil, "", err
	}
	if _, err := put(ctx, conn, from, sample()[:half]); err != nil {
		return "", nil, "", err
	}
	if err := conn.Rename(ctx, from, to); err != nil {
		if !conn.Usable() {
			return "", nil, "", err
		}
		return renameAside(ctx, conn, from, to, err)
	}
	size, err := sizeOf(ctx, conn, to)
	if err != nil {
		return "", nil, "", err
	}
	if size != half {
		return Broken, nil, fmt.Sprintf("the server agrees, and the file of %d bytes is still there", size), nil
	}
	return Works, nil, "the old file is replaced", nil
}

// renameAside does what is left where a server does not replace: the old file goes first.
func renameAside(ctx context.Context, conn *ftpclient.Conn, from, to string, refusal error) (Verdict, any, string, error) {
	if err := conn.Remove(ctx, to); err != nil {
		return Broken, nil, shortReply(refusal) + "; and files cannot be removed: " + shortReply(err), nil
	}
	if err := conn.Rename(ctx, from, to); err != nil {
		return Broken, nil, "files cannot be renamed at all: " + shortReply(err), nil
	}
	return Absent, nil, shortReply(refusal) + "; it works once the old file is removed", nil
}

func trySetTime(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	past := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	p := e.path("old-time.txt")
	if _, err := put(ctx, conn, p, []byte("old")); err != nil {
		return "", nil, "", err
	}
	if err := conn.SetModTime(ctx, p, past); err != nil {
		if errors.Is(err, ftpclient.ErrUnsupported) {
			return Absent, "none", "no command for it: times of files are those of their upload", nil
		}
		return "", nil, "", err
	}
	now, err := conn.ModTime(ctx, p)
	if err != nil {
		return "", nil, "", err
	}
	setter := conn.Facts().TimeSetter
	if off := now.Sub(past).Abs(); off > 2*time.Second {
		return Broken, setter, fmt.Sprintf("by %s, and it is wrong by %s", setter, off), nil
	}
	return Works, setter, "by " + setter, nil
}

func tryHash(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	var right []string
	for _, algorithm := range conn.Hashes() {
		ours := algorithm.New()
		ours.Write(sample())
		theirs, err := conn.Hash(ctx, e.path(sampleName), algorithm)
		if err != nil && !conn.Usable() {
			return "", nil, "", err
		}
		if err != nil {
			continue
		}
		if !bytes.Equal(ours.Sum(nil), theirs) {
			return Broken, nil, string(algorithm) + " of a file is not what it should be", nil
		}
		right = append(right, string(algorithm))
	}
	if len(right) == 0 {
		return Absent, []string{}, "not offered", nil
	}
	return Works, right, strings.Join(right, ", "), nil
}

// tryCompression works on a connection of its own, since MODE stands from transfer to transfer.
func tryCompression(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error) {
	offered := slices.ContainsFunc(conn.Features()["MODE"], func(modes string) bool { return strings.Contains(strings.ToUpper(modes), "Z") })
	if !offered {
		return Absent, nil, "not offered", nil
	}
	o := e.Client
	o.Facts, o.Compress, o.Logger = conn.Facts(), true, nil
	compressing, err := ftpclient.Dial(ctx, e.Server.Address, o)
	if err != nil {
		return Unknown, nil, err.Error(), nil
	}
	defer compressing.Close()
	content, down, err := get(ctx, compressing, e.path(sampleName), 0)
	if err != nil {
		return Broken, nil, "downloads: " + err.Error(), nil
	}
	if !bytes.Equal(content, sample()) {
		return Broken, nil, "downloads hold other bytes than the file", nil
	}
	if compressing.Facts().NoCompression || down.Moved >= int64(len(sample())) {
		return Absent, nil, "listed, and refused", nil
	}
	detail := fmt.Sprintf("downloads move %d %% of a text", 100*down.Moved/int64(len(sample())))
	up, err := put(ctx, compressing, e.path("compressed.txt"), sample())
	switch {
	case err != nil || compressing.Facts().NoCompressedStore:
		return Works, "down", detail + "; uploads fail", nil
	case up.Moved >= int64(len(sample())):
		return Works, "down", detail + "; uploads go as they are", nil
	}
	return Works, "both", detail + fmt.Sprintf(", uploads %d %%", 100*up.Moved/int64(len(sample()))), nil
}
