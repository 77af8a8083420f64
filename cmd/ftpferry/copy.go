package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/manual"
	"github.com/ftpferry/ftpferry/state"
)

// copying is what the command line of get and put asks for.
type copying struct {
	manual.Options
	quiet bool
}

// copyHelp is said of both.
const copyHelp = `A file has its name only when all of it is there: it is written under a
temporary name, its size is compared (with --verify a hash too, where the server
computes one), and it is renamed. It gets the time of the original. What has its
name already stays as it is: if it is the same, by size and time or by
the server's hash, that is all; if not, it is an error, unless --force replaces it.
Links in folders are left out, which is said.

What breaks is tried again from where it was, three times in all. A temporary
file of what does not get through, or of what Ctrl+C stops, is removed. With
--resume it stays, is named, and the same command with --resume goes on with it,
if it is proven to be the beginning of the file as it is now. One at a time: a
file with --resume must not be copied by two at once.

Folders go over as many connections as are configured for the server. They are
made beside those of a running agent, which is not needed and not asked: a
server that is limited to those of the agent refuses them.

On a terminal there are progress bars, and a line per file is printed. --json prints an
object per file.

Exit codes: 0 all is there; 1 something needs a person (not there, refused,
another file in the way); 64 usage; 69 the server is unavailable; 75 broken off,
or changing all the time: try again.`

func (p *program) copyFlags(c *cobra.Command, asked *copying) *cobra.Command {
	c.Flags().BoolVarP(&asked.Recursive, "recursive", "r", false, "copy folders with all that is in them")
	c.Flags().BoolVarP(&asked.Force, "force", "f", false, "replace files that differ")
	c.Flags().BoolVar(&asked.Resume, "resume", false, "go on with what was broken off, and keep what is")
	c.Flags().BoolVar(&asked.Verify, "verify", false, "compare hashes, where the server computes them")
	c.Flags().BoolVarP(&asked.quiet, "quiet", "q", false, "say nothing but what goes wrong")
	return p.withJSON(p.withTrace(c))
}

func (p *program) getCommand() *cobra.Command {
	var asked copying
	return p.copyFlags(&cobra.Command{
		Use:   "get SERVER:PATH... [DEST|-]",
		Short: "Copy files and folders from a server",
		Long: `Copies files, and with -r folders, from a server to DEST: a folder, one that is
made as it ends with a slash, or the new name of a single file or folder; the
current folder without it. With "-" a file goes to standard output; only exit code 0
says that it was all of it. A path without a slash in front begins where the login leads to.

` + copyHelp,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, arguments []string) error { return p.get(c.Context(), arguments, asked) },
	}, &asked)
}

func (p *program) putCommand() *cobra.Command {
	var asked copying
	c := p.copyFlags(&cobra.Command{
		Use:   "put FILE|-... SERVER:PATH",
		Short: "Copy files and folders to a server",
		Long: `Copies files, and with -r folders, to PATH on a server: a folder, one that is
made as it ends with a slash, or the new name of a single file or folder. A path without
a slash in front begins where the login leads to, which is also what "SERVER:"
alone means. With "-" standard input is written to the file PATH.

` + copyHelp + `

With --direct a file is written under its own name at once, for servers that let
nobody rename, or that show nobody what they have (drop boxes: end PATH with a slash
if it is a folder). There the server's final reply is the only proof, what has
the name already is replaced if the server does so, and what breaks leaves a part.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, arguments []string) error { return p.put(c.Context(), arguments, asked) },
	}, &asked)
	c.Flags().BoolVar(&asked.Direct, "direct", false, "no temporary name, and nothing that a drop box does not allow")
	return c
}

func (p *program) get(ctx context.Context, arguments []string, asked copying) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	dest := "."
	if last := arguments[len(arguments)-1]; len(arguments) > 1 {
		if _, _, ok := remotePath(cfg, last); !ok || !strings.Contains(last, ":") {
			dest, arguments = last, arguments[:len(arguments)-1]
		}
	}
	server, paths, err := remotePaths(cfg, arguments)
	if err != nil {
		return err
	}
	if dest == "-" {
		if len(paths) > 1 || asked.Recursive || asked.Resume || p.json {
			return exit{control.ExitUsage, errors.New("to standard output goes one file, without -r, --resume and --json")}
		}
		return p.copy(ctx, cfg, server, asked, p.stderr, func(ctx context.Context, s *manual.Server, o manual.Options) {
			o.Report(s.GetTo(ctx, paths[0], p.stdout, o))
		})
	}
	return p.copy(ctx, cfg, server, asked, p.stdout, func(ctx context.Context, s *manual.Server, o manual.Options) {
		s.Get(ctx, paths, dest, o)
	})
}

func (p *program) put(ctx context.Context, arguments []string, asked copying) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	if asked.Direct && asked.Resume {
		return exit{control.ExitUsage, errors.New("--resume needs the temporary name that --direct does without")}
	}
	files := arguments[:len(arguments)-1]
	server, paths, err := remotePaths(cfg, arguments[len(arguments)-1:])
	if err != nil {
		return err
	}
	if slices.Contains(files, "-") {
		if len(files) > 1 || asked.Recursive || asked.Resume || paths[0] == "" || strings.HasSuffix(paths[0], "/") {
			return exit{control.ExitUsage, errors.New("standard input is one file: give it a name on the server, and leave out other files, -r and --resume")}
		}
		return p.copy(ctx, cfg, server, asked, p.stdout, func(ctx context.Context, s *manual.Server, o manual.Options) {
			o.Report(s.PutFrom(ctx, untilDone(ctx, os.Stdin), paths[0], o))
		})
	}
	return p.copy(ctx, cfg, server, asked, p.stdout, func(ctx context.Context, s *manual.Server, o manual.Options) {
		s.Put(ctx, files, paths[0], o)
	})
}

// untilDone reads from what may never tell anything again, and ends with an error when ctx does. Its goroutine may wait for the
// source until the end of the process, as no one can be kept from waiting for standard input.
func untilDone(ctx context.Context, source io.Reader) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(w, struct{ io.Reader }{source}, make([]byte, 256<<10))
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { r.CloseWithError(context.Cause(ctx)) })
	return r
}

// remotePaths reads SERVER:PATH arguments, all of one server.
func remotePaths(cfg *config.Config, arguments []string) (server string, paths []string, err error) {
	for i, argument := range arguments {
		name, remote, ok := remotePath(cfg, argument)
		switch {
		case !ok:
			return "", nil, noServer(cfg, argument)
		case !strings.Contains(argument, ":"):
			return "", nil, exit{control.ExitUsage, fmt.Errorf("%q is not SERVER:PATH", argument)}
		case i > 0 && name != server:
			return "", nil, exit{control.ExitUsage, fmt.Errorf("%q and %q are two servers; one at a time", server, name)}
		}
		server, paths = name, append(paths, remote)
	}
	return server, paths, nil
}

// copy does so, and tells of each file: on lines, in objects, with bars.
func (p *program) copy(ctx context.Context, cfg *config.Config, server string, asked copying, lines io.Writer,
	do func(context.Context, *manual.Server, manual.Options)) error {
	return p.withServer(ctx, cfg, server, func(ctx context.Context, s *manual.Server) error {
		return p.printing(func(*bufio.Writer) error {
			t := &telling{program: p, server: server, lines: lines, errors: p.stderr, asked: asked}
			o, stop := asked.Options, func() {}
			o.Report = t.tell
			if _, _, ok := windowOf(p.stderr); ok && !asked.quiet && !p.json {
				shown := newBars(p.stderr)
				if _, _, same := windowOf(lines); same {
					t.lines = shown
				}
				t.errors, o.Begin = shown, t.begin
				stop = shown.drawing(t.rows)
			}
			do(ctx, s, o)
			stop()
			if ctx.Err() != nil {
				return exit{control.ExitUnfinished, errors.New("interrupted")}
			}
			if t.worst != manual.Done {
				return exit{code: manualCodes[t.worst]}
			}
			return t.failure
		})
	})
}

// telling is what is said while files are copied.
type telling struct {
	*program
	server        string
	lines, errors io.Writer
	asked         copying
	worst         manual.Verdict
	failure       error // of printing

	mutex    sync.Mutex // guards what follows
	begun    int
	underWay []underWay
}

// underWay is a file whose transfer has begun.
type underWay struct {
	number int
	name   string
	size   int64
	live   *manual.Live
}

// begin is called by any goroutine.
func (t *telling) begin(name string, size int64, live *manual.Live) (end func()) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.begun++
	number := t.begun
	t.underWay = append(t.underWay, underWay{number, name, size, live})
	return func() {
		t.mutex.Lock()
		defer t.mutex.Unlock()
		t.underWay = slices.DeleteFunc(t.underWay, func(u underWay) bool { return u.number == number })
	}
}

// rows are of what is under way now.
func (t *telling) rows() (rows []barRow) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, u := range t.underWay {
		row := barRow{key: strconv.Itoa(u.number), name: u.name, size: u.size}
		if now, ok := u.live.At(time.Now()); ok {
			row.done, row.rate = now.Done, int64(now.Rate)
		}
		rows = append(rows, row)
	}
	return rows
}

// copied is what --json prints of a file.
type copied struct {
	From     state.Text `json:"from"`
	To       state.Text `json:"to"`
	Result   string     `json:"result"` // done, already, skipped, failed
	Size     int64      `json:"size"`
	Bytes    int64      `json:"bytes"`
	TookMS   float64    `json:"took_ms"`
	Verified string     `json:"verified,omitempty"`
	Error    string     `json:"error,omitempty"`
	Left     state.Text `json:"left,omitempty"`
}

// tell prints what came of one file.
func (t *telling) tell(r manual.Result) {
	t.worst = max(t.worst, manual.Judge(r.Err))
	if t.json {
		c := copied{
			From: state.Text(r.From), To: state.Text(r.To), Result: "done", Size: r.Size, Bytes: r.Moved,
			TookMS: float64(r.Took) / float64(time.Millisecond), Verified: r.Verified, Left: state.Text(r.Left),
		}
		switch {
		case r.Err != nil:
			c.Result, c.Error = "failed", r.Err.Error()
		case r.Skipped != "":
			c.Result, c.Error = "skipped", r.Skipped
		case r.Already:
			c.Result = "already"
		}
		err := writeJSON(t.lines, c)
		if err == nil {
			_, err = fmt.Fprintln(t.lines)
		}
		t.note(err)
		return
	}
	switch {
	case r.Err != nil:
		fmt.Fprint(t.errors, t.failed(r))
	case r.Skipped != "":
		fmt.Fprintf(t.errors, "ftpferry: %s: left out: %s\n", pathText(r.From), r.Skipped)
	case !t.asked.quiet:
		_, err := fmt.Fprintln(t.lines, doneLine(r))
		t.note(err)
	}
}

func (t *telling) note(err error) {
	if err = printed(err); err != nil && t.failure == nil && !errors.Is(err, errReadEnough) {
		t.failure = err
	}
}

// failed says why a file was not copied, and what is left of it.
func (t *telling) failed(r manual.Result) string {
	var b strings.Builder
	reason := r.Err.Error()
	if errors.Is(r.Err, context.Canceled) {
		reason = "broken off"
	}
	about := pathText(r.From)
	if errors.Is(r.Err, manual.ErrExists) || errors.Is(r.Err, manual.ErrInTheWay) || r.From == "-" {
		about = pathText(r.To)
	}
	for i, line := range strings.Split(reason, "\n") {
		if i == 0 {
			fmt.Fprintf(&b, "ftpferry: %s: %s: %s\n", oneLine(t.server), about, oneLine(line))
		} else {
			fmt.Fprintf(&b, "    %s\n", oneLine(line))
		}
	}
	switch {
	case t.asked.Direct && r.Moved > 0:
		fmt.Fprintf(&b, "  what has come may be there under its name\n")
	case r.Left != "" && r.Resumable:
		fmt.Fprintf(&b, "  what has come is kept as %s; the same command with --resume goes on with it\n", pathText(r.Left))
	case r.Left != "":
		fmt.Fprintf(&b, "  a temporary file stays, as it could not be removed: %s\n", pathText(r.Left))
	case r.Moved > 0 && r.To != "-" || errors.Is(r.Err, context.Canceled):
		fmt.Fprintf(&b, "  nothing is left of it\n")
	}
	return b.String()
}

// doneLine is what is said of a file that is there.
func doneLine(r manual.Result) string {
	names := pathText(r.From) + " -> " + pathText(r.To)
	if r.Already {
		return names + ": there already"
	}
	text := fmt.Sprintf("%s: %s in %s", names, bytesText(r.Moved), r.Took.Round(time.Millisecond))
	if seconds := r.Took.Seconds(); seconds > 0 && r.Moved > 0 {
		text += fmt.Sprintf(" (%s/s)", bytesText(int64(float64(r.Moved)/seconds)))
	}
	if r.Verified != "" {
		text += ", verified by " + oneLine(r.Verified)
	}
	if r.Remark != "" {
		text += "; " + oneLine(r.Remark)
	}
	return text
}
