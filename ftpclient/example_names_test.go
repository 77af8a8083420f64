package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// connected dials a server for an example and puts a file on it.
func connected(ctx context.Context, file string) (*ftpclient.Conn, func()) {
	address, options, stop := startExample()
	conn, err := ftpclient.Dial(ctx, address, options)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := put(ctx, conn, file, strings.NewReader("12345")); err != nil {
		log.Fatal(err)
	}
	return conn, func() {
		conn.Close()
		stop()
	}
}

// Folders and their missing parents are made in few round trips.
func ExampleConn_MakeDirs() {
	ctx := context.Background()
	conn, done := connected(ctx, "report.csv")
	defer done()

	if err := conn.MakeDirs(ctx, "/archive/2024/01"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(conn.Rename(ctx, "report.csv", "/archive/2024/01/report.csv"))
	// Output: <nil>
}

// Which command sets times is found out once, and can be kept for the next connection.
func ExampleConn_SetModTime() {
	ctx := context.Background()
	conn, done := connected(ctx, "report.csv")
	defer done()

	changed := time.Date(2024, 1, 31, 12, 0, 0, 0, time.UTC)
	if err := conn.SetModTime(ctx, "report.csv", changed); err != nil && !errors.Is(err, ftpclient.ErrUnsupported) {
		log.Fatal(err)
	}
	told, err := conn.ModTime(ctx, "report.csv")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(told, conn.Facts().TimeSetter)
	// Output: 2024-01-31 12:00:00 +0000 UTC MFMT
}

// Many files are asked for in one round trip where the server does that.
func ExampleConn_StatFiles() {
	ctx := context.Background()
	conn, done := connected(ctx, "b")
	defer done()

	answers, err := conn.StatFiles(ctx, []string{"a", "b", "c"})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range answers {
		fmt.Println(a.Path, a.Found, a.Entry.Size)
	}
	// Output:
	// a false 0
	// b true 5
	// c false 0
}

// Names that servers are known to change are looked at after the upload, or tried before it.
func ExampleConn_StoredAs() {
	ctx := context.Background()
	name := "draft " // a blank at its end
	conn, done := connected(ctx, name)
	defer done()

	fmt.Println(ftpclient.OddName(name))
	if err := conn.KeepsName(ctx, "/", name); err != nil {
		log.Fatal(err)
	}
	stored, err := conn.StoredAs(ctx, name)
	if errors.Is(err, ftpclient.ErrNameChanged) {
		fmt.Printf("the server calls it %q\n", stored)
	} else if err != nil {
		log.Fatal(err)
	}
	fmt.Println(conn.Facts().OddNames)
	// Output:
	// ends with a blank
	// ends with a blank=kept
}
