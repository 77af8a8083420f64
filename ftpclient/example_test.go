package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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
	absent := func(ctx context.Context, conn *ftpclient.Conn, folder, name string) (bool, error) {
		listing, err := conn.List(ctx, folder)
		if err != nil {
			return false, err
		}
		for _, entry := range listing.Entries {
			if entry.Name == name {
				return false, nil
			}
		}
		if listing.Incomplete != "" {
			return false, errors.New(listing.Incomplete)
		}
		return true, nil
	}
	_ = absent
}

// Classify tells what can be done about an error, and errors.Is what it is about.
func ExampleClassify() {
	err := error(&ftpclient.Error{Op: "retrieve", Path: "/report.csv", Code: 550, Text: "/report.csv: No such file or directory"})
	fmt.Println(err)
	fmt.Println(ftpclient.Classify(err), errors.Is(err, fs.ErrNotExist))
	// Output:
	// retrieve /report.csv: 550 /report.csv: No such file or directory
	// permanent true
}
