package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// stage is one part of the show. do returns when the agent has worked off what it began.
type stage struct {
	headline string
	story    string
	do       func(ctx context.Context, d *demo) error
}

// theShow keeps to what every system can do: Windows does not rename a watched folder that has folders in it.
var theShow = []stage{
	{
		"Files and folders are dropped into local/site",
		"The watcher sees them, they wait until they are quiet, and go up under temporary names.",
		dropFiles,
	},
	{"Some files are changed", "Three saves in a row are one upload. The size alone would not give the second one away.", changeFiles},
	{"A file and a folder are renamed", "", renameFiles},
	{"Some files and folders are deleted", "", deleteFiles},
	{
		"Something appears on the server",
		"A server does not tell. The schedule looks once a minute; now we ask for a pass.",
		fillServer,
	},
	{
		"The agent is stopped in the middle of an upload",
		"A new one goes on from the state file, and finds what happened in between.",
		stopInTheMiddle,
	},
	{"Somebody deletes more than max_delete allows", "", deleteTooMuch},
}

const notes = `What happens to this file when you save it:

1. The watcher sees it and waits until nobody writes to it any more.
2. A job is written to the state file, so that no crash can forget it.
3. It is sent under a temporary name; the number of bytes on the server is verified.
4. It is renamed into place: complete, or not there at all.
`

const largeFile = "local/site/videos/film of the summer.bin"

// content is the same on every run, and cannot be compressed.
func content(seed byte, size int) string {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return string(data)
}

func dropFiles(ctx context.Context, d *demo) error {
	err := errors.Join(
		d.write("local/site/notes.txt", notes),
		d.write("local/site/index.html", "<!doctype html>\n<title>ftpferry</title>\n<p>Files, ferried.</p>\n"),
		d.write("local/site/shopping list (draft).txt", "bread\nsalt\n3 lemons\n"),
		d.write("local/site/empty.txt", ""),
		d.write("local/site/ünïcödé/日本語.txt", "こんにちは\n"),
		d.write("local/site/nested/a/b/c/deep.txt", "Folders are made before what goes into them.\n"),
		d.write("local/site/photos/one.jpg", content(1, 40_000)),
		d.write("local/site/photos/two.jpg", content(2, 50_000)),
		d.write("local/site/data.bin", content(3, 5<<20)),
		os.Mkdir(d.path("local/site/an empty folder"), 0o777),
	)
	return errors.Join(err, d.settle(ctx))
}

func changeFiles(ctx context.Context, d *demo) error {
	text := notes
	for i := range 3 {
		text += fmt.Sprintf("Saved again, %d.\n", i+1)
		if err := d.write("local/site/notes.txt", text); err != nil {
			return err
		}
	}
	err := errors.Join(
		d.write("local/site/data.bin", content(4, 5<<20)),
		d.write("local/site/empty.txt", "not any more\n"),
	)
	return errors.Join(err, d.settle(ctx))
}

func renameFiles(ctx context.Context, d *demo) error {
	err := errors.Join(
		os.Rename(d.path("local/site/shopping list (draft).txt"), d.path("local/site/shopping list.txt")),
		os.Rename(d.path("local/site/photos"), d.path("local/site/pictures of 2026")),
	)
	return errors.Join(err, d.settle(ctx))
}

func deleteFiles(ctx context.Context, d *demo) error {
	err := errors.Join(
		os.Remove(d.path("local/site/index.html")),
		os.RemoveAll(d.path("local/site/nested")),
		os.Remove(d.path("local/site/an empty folder")),
	)
	return errors.Join(err, d.settle(ctx))
}

func fillServer(ctx context.Context, d *demo) error {
	err := errors.Join(
		d.write("server/inbox/letter.txt", "Dear reader,\n\nthis one came down.\n"),
		d.write("server/inbox/scans/page 1.pdf", content(5, 120_000)),
	)
	return errors.Join(err, d.pass(ctx), d.settle(ctx))
}

func stopInTheMiddle(ctx context.Context, d *demo) error {
	const size, cut = 8 << 20, 2 << 20
	reached := d.server.holdAfter(cut)
	defer d.server.release()
	if err := d.write(largeFile, content(6, size)); err != nil {
		return err
	}
	isReached := func() bool {
		select {
		case <-reached:
			return true
		default:
			return false
		}
	}
	if err := d.until(ctx, "the upload gets to its middle", isReached); err != nil {
		return err
	}
	d.screen.say("  The server has %s of %s now. Stop!", bytesText(cut), bytesText(size))
	if err := d.stopAgent(); err != nil {
		return err
	}
	d.server.release()
	if err := d.until(ctx, "the server notices", d.server.quiet); err != nil {
		return err
	}
	if err := d.showFolder("server/site/videos"); err != nil {
		return err
	}
	d.screen.say("  Nobody will take this for the film. While no agent runs, six invoices arrive.")
	for i := range 6 {
		if err := d.write(fmt.Sprintf("local/site/invoices/%d.txt", i+1), strings.Repeat("1 coffee\n", i+1)); err != nil {
			return err
		}
	}
	d.screen.say("  A new agent starts.")
	if err := d.startAgent(ctx); err != nil {
		return err
	}
	return d.settle(ctx)
}

func deleteTooMuch(ctx context.Context, d *demo) error {
	if err := os.RemoveAll(d.path("local/site/invoices")); err != nil {
		return err
	}
	err := d.until(ctx, "the agent notices", func() bool { return d.halted() || d.equal() })
	if err != nil || !d.halted() {
		return errors.Join(err, d.settle(ctx))
	}
	if err := d.showFolder("server/site/invoices"); err != nil {
		return err
	}
	d.screen.say("  Nothing is lost. A person looks at it, and says: ftpferry approve site")
	if err := d.running.agent.Approve(ctx, "site"); err != nil {
		return err
	}
	return d.settle(ctx)
}

func (d *demo) write(rel, text string) error {
	path := d.path(rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o666)
}

// showFolder lists the files in a folder.
func (d *demo) showFolder(rel string) error {
	entries, err := os.ReadDir(d.path(rel))
	if err != nil {
		return err
	}
	d.screen.say("  In %s there is now:", rel)
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		d.screen.say("    %s %s", padded(printable(entry.Name()), 60), bytesText(info.Size()))
	}
	return nil
}
