package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
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
	err := error(&ftpclient.Error{Op: "retrieve", Path: "/report.csv", Code: 550, Text: "/report.csv: No such file or directory"})
	fmt.Println(err)
	fmt.Println(ftpclient.Classify(err), errors.Is(err, fs.ErrNotExist))
	// Output:
	// retrieve /report.csv: 550 /report.csv: No such file or directory
	// permanent true
}
