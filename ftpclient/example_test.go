package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"sync"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// An upload that others see whole or not at all.
func ExampleConn_Store() {
	upload := func(ctx context.Context, conn *ftpclient.Conn, file *os.File, target string) error {
		temporary := target + ".part"
		transfer, err := conn.Store(ctx, temporary, 0)
		if err != nil {
			return err
		}
		transfer.ReadFrom(file) // Finish tells its error, and the server's reason for it
		result, err := transfer.Finish(ctx)
		if err != nil {
			return err
		}
		size, err := conn.Size(ctx, temporary)
		if err != nil {
			return err
		}
		if size != result.Bytes {
			return fmt.Errorf("%d bytes arrived of %d", size, result.Bytes)
		}
		return conn.Rename(ctx, temporary, target)
	}
	_ = upload
}

// A long upload whose verdict is lost with the control connection may be complete: a second
// connection tells. Where it is not, the rest is sent.
func ExampleConn_ResumeStore() {
	upload := func(ctx context.Context, address string, o ftpclient.Options, file *os.File, size int64, temporary string) error {
		for {
			conn, err := ftpclient.Dial(ctx, address, o)
			if err != nil {
				return err
			}
			transfer, offset, err := conn.ResumeStore(ctx, temporary, file, size)
			if err == nil {
				if _, err = file.Seek(offset, io.SeekStart); err != nil {
					transfer.Abort(ctx)
				} else {
					transfer.ReadFrom(file) // Finish tells its error
					_, err = transfer.Finish(ctx)
				}
			}
			o.Facts = conn.Facts() // what this server does with resumed uploads
			conn.Close()
			if ftpclient.Classify(err) != ftpclient.ClassConnection {
				return err // nil, too
			}
		}
	}
	confirm := func(ctx context.Context, address string, o ftpclient.Options, uploadError error, temporary string, size int64) error {
		if !errors.Is(uploadError, ftpclient.ErrUnconfirmed) {
			return uploadError
		}
		conn, err := ftpclient.Dial(ctx, address, o)
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.VerifySize(ctx, temporary, size) // ErrMismatch if it is not whole
	}
	_, _ = upload, confirm
}

// A listing proves the absence of a name only if it is complete.
func ExampleConn_List() {
	ctx := context.Background()
	conn, done := connected(ctx, "report.csv")
	defer done()

	listing, err := conn.List(ctx, "/")
	if err != nil {
		log.Fatal(err)
	}
	if listing.Incomplete != "" {
		log.Fatal("cannot tell: ", listing.Incomplete)
	}
	for _, entry := range listing.Entries {
		fmt.Println(entry.Type, entry.Name, entry.Size)
	}
	// Output: file report.csv 5
}

// Classify tells what can be done about an error, and errors.Is what it is about.
func ExampleClassify() {
	next := func(err error) string {
		switch ftpclient.Classify(err) {
		case ftpclient.ClassRetry, ftpclient.ClassUnavailable, ftpclient.ClassBusy:
			return "wait a little"
		case ftpclient.ClassConnection:
			return "dial again, and look what is there"
		case ftpclient.ClassLater:
			return "wait for long"
		case ftpclient.ClassParents:
			return "make the folder"
		case ftpclient.ClassOffset:
			return "start over"
		}
		return "ask a person"
	}
	for _, err := range []error{
		&ftpclient.Error{Op: "store", Command: "STOR", Path: "/in/a.csv", Code: 553, Text: "Can't open that file: No such file or directory"},
		&ftpclient.Error{Op: "store", Command: "STOR", Path: "/in/a.csv", Code: 451, Text: "/in/a.csv: Append/Restart not permitted, try again"},
		&ftpclient.Error{Op: "retrieve", Command: "RETR", Path: "/out/b.csv", Code: 550, Text: "/out/b.csv: No such file or directory"},
		&ftpclient.Error{Op: "login", Command: "PASS", Code: 530, Text: "Sorry, the maximum number of clients (3) for this user are already connected."},
	} {
		fmt.Printf("%v: %s; is not there: %v\n", ftpclient.Classify(err), next(err), errors.Is(err, fs.ErrNotExist))
	}
	// Output:
	// parents: make the folder; is not there: true
	// offset: start over; is not there: false
	// permanent: ask a person; is not there: true
	// busy: wait a little; is not there: false
}

// Who needs a connection waits for one; how many there are is between the pool and the server.
func ExamplePool() {
	upload := func(ctx context.Context, pool *ftpclient.Pool, folders []string) error {
		var workers sync.WaitGroup
		failures := make([]error, len(folders))
		for i, folder := range folders {
			workers.Go(func() {
				conn, err := pool.Get(ctx) // waits until there is one
				if err != nil {
					failures[i] = err
					return
				}
				defer pool.Put(conn)
				failures[i] = conn.MakeDir(ctx, folder)
			})
		}
		workers.Wait()
		return errors.Join(failures...)
	}
	options := ftpclient.Options{User: "ferry", Password: "secret"}
	pool := ftpclient.NewPool("ftp.example.com:21", options, ftpclient.PoolOptions{Max: 8})
	defer pool.Close()
	_ = upload
	fmt.Println(pool.Facts().ConnectionLimit) // 0 as long as the server has refused none
	// Output: 0
}
