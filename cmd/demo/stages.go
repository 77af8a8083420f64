package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/ftpferry/ftpferry/agent/control"
)

// stage is a part of the show. After do, both sides have to become equal.
type stage struct {
	headline, story string
	do              func(ctx context.Context, d *demo) error
}

// theShow keeps to what every system can do: Windows does not rename a watched folder that has folders in it.
var theShow = []stage{
	{"The agent starts", "It begins to watch, and then looks at everything once.", begin},
	{"Files and folders are dropped into local/site", "They wait until they are quiet, and go up under temporary names.", dropFiles},
	{"Some files are changed", "One of them is saved three times in a row.", changeFiles},
	{"A file and a folder are renamed", "For the server that is: new ones first, the old ones are deleted last.", renameFiles},
	{"Some files and folders are deleted", "The server follows, what is in a folder before the folder.", deleteFiles},
	{"Files appear on the server, in server/inbox", "A server does not tell. The schedule looks once a minute; here we ask for a pass.", fillServer},
	{"The agent is stopped in the middle of an upload", "A new agent goes on from the state file.", cutTransfer},
	{"Somebody deletes more than max_delete allows", "That may be a mistake, or a disk that is not mounted.", deleteTooMuch},
}

func begin(ctx context.Context, d *demo) error {
	if err := d.startAgent(ctx); err != nil {
		return err
	}
	return d.until(ctx, "the agent starts", func() bool { return d.happened("start") })
}

func dropFiles(_ context.Context, d *demo) error {
	return errors.Join(
		d.write("local/site/notes.txt", "Whatever is saved here is on the server a moment later.\n"),
		d.write("local/site/index.html", "<!doctype html>\n<title>ftpferry</title>\n<p>Files, ferried.</p>\n"),
		d.write("local/site/shopping list (draft).txt", "bread\nsalt\n3 lemons\n"),
		d.write("local/site/empty.txt", ""),
		d.write("local/site/ünïcödé/grüße an Ελένη.txt", "こんにちは\n"),
		d.write("local/site/nested/a/b/c/deep.txt", "Folders are made before what goes into them.\n"),
		d.write("local/site/photos/one.jpg", noise(1, 40_000)),
		d.write("local/site/photos/two.jpg", noise(2, 50_000)),
		d.write("local/site/data.bin", noise(3, 3<<20)),
		os.Mkdir(d.path("local/site/an empty folder"), 0o777),
	)
}

func changeFiles(_ context.Context, d *demo) error {
	for i := range 3 {
		if err := d.write("local/site/notes.txt", strings.Repeat("Saved again.\n", i+1)); err != nil {
			return err
		}
	}
	return errors.Join(
		d.write("local/site/data.bin", noise(4, 4<<20)),
		d.write("local/site/empty.txt", "not any more\n"),
	)
}

func renameFiles(_ context.Context, d *demo) error {
	return errors.Join(
		os.Rename(d.path("local/site/shopping list (draft).txt"), d.path("local/site/shopping list.txt")),
		os.Rename(d.path("local/site/photos"), d.path("local/site/photos of 2026")),
	)
}

func deleteFiles(_ context.Context, d *demo) error {
	return errors.Join(
		os.Remove(d.path("local/site/index.html")),
		os.Remove(d.path("local/site/an empty folder")),
		os.RemoveAll(d.path("local/site/nested")),
	)
}

func fillServer(ctx context.Context, d *demo) error {
	return errors.Join(
		d.write("server/inbox/letter.txt", "Dear reader,\n\nthis one came down.\n"),
		d.write("server/inbox/scans/page 1.pdf", noise(5, 120_000)),
		d.pass(ctx),
	)
}

func cutTransfer(ctx context.Context, d *demo) error {
	d.server.limit.Store(2 << 20)
	defer d.server.limit.Store(0)
	if err := d.write("local/site/film.bin", noise(6, 6<<20)); err != nil {
		return err
	}
	if err := d.until(ctx, "the upload comes half way", d.server.stuck.Load); err != nil {
		return err
	}
	d.screen.Print("  The server has 2 of 6 MiB. Stop!")
	if err := d.stopAgent(); err != nil {
		return err
	}
	d.server.limit.Store(0)
	if err := d.until(ctx, "the server notices", d.server.isAtRest); err != nil {
		return err
	}
	if err := d.showFiles("server/site/*film.bin*"); err != nil {
		return err
	}
	d.screen.Print("  Nobody takes that for the film. While no agent runs, six invoices arrive. Then a new one starts.")
	for i := range 6 {
		if err := d.write(fmt.Sprintf("local/site/invoices/%d.txt", i+1), strings.Repeat("1 coffee\n", i+1)); err != nil {
			return err
		}
	}
	return d.startAgent(ctx)
}

func deleteTooMuch(ctx context.Context, d *demo) error {
	if err := os.RemoveAll(d.path("local/site/invoices")); err != nil {
		return err
	}
	d.screen.Print("  Whoever empties a folder may be about to fill it again, so the agent waits a while. Asked for a pass, it does not.")
	if _, err := d.agent.Pass(ctx, []string{"site"}); err != nil {
		return err
	}
	if err := d.until(ctx, "the agent halts", func() bool { return d.happened("halted") }); err != nil {
		return err
	}
	if err := d.showFiles("server/site/invoices/*"); err != nil {
		return err
	}
	d.screen.Print("  Nothing is lost. A person takes a look, and says: ftpferry approve site")
	return d.agent.Approve(ctx, control.ApproveRequest{Syncs: []string{"site"}})
}

// noise is the same on every run, and cannot be compressed.
func noise(seed byte, size int) string {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return string(data)
}

func (d *demo) write(rel, text string) error {
	if err := os.MkdirAll(filepath.Dir(d.path(rel)), 0o777); err != nil {
		return err
	}
	return os.WriteFile(d.path(rel), []byte(text), 0o666)
}

// showFiles lists the files that match, temporary ones too.
func (d *demo) showFiles(pattern string) error {
	names, err := filepath.Glob(d.path(pattern))
	for _, name := range names {
		n, readErr := readFile(name)
		err = errors.Join(err, readErr)
		d.screen.Printf("    on the server: %-40s %s", filepath.Base(name), bytesText(n.size))
	}
	return err
}
