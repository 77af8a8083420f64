package doctor

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// probe tries one feature. To add one is a function and a line in the table.
type probe struct {
	key, title string
	needs      need
	run        func(ctx context.Context, e *examination, conn *ftpclient.Conn) (Verdict, any, string, error)
}

// notTried begins the detail of a feature that was not looked at.
const notTried = "not tried: "

// need is what a probe cannot do without.
type need uint8

const (
	needsLogin need = iota
	needsData       // and the scratch folder
)

// probes are run in this order: those that servers hang up over come late.
var probes = []probe{
	{"upload", "upload", needsData, tryUpload},
	{"download", "download", needsData, tryDownload},
	{"clock", "clock of the server", needsData, tryClock},
	{"listing", "listing", needsData, tryListing},
	{"set_time", "set times", needsData, trySetTime},
	{"rename_over", "rename over a file", needsData, tryRenameOver},
	{"resume_upload", "resume uploads (REST + STOR)", needsData, tryStoreRestart},
	{"append", "append (APPE)", needsData, tryAppend},
	{"resume_download", "resume downloads (REST + RETR)", needsData, tryRetrieveRestart},
	{"hash", "hash of files", needsData, tryHash},
	{"compression", "compression (MODE Z)", needsData, tryCompression},
	{"many_questions", "many commands in one write", needsData, tryPipelining},
	{"encoding", "names beyond ASCII", needsData, tryEncoding},
	{"case", "case of names", needsData, tryCase},
	{"dot_names", "names with a leading dot", needsData, tryDotNames},
	{"odd_names", "odd names", needsData, tryOddNames},
	{"chmod", "permissions (SITE CHMOD)", needsData, tryChmod},
	{"long_paths", "long command lines", needsLogin, tryLongPaths},
	{"idle_limit", "idle time", needsLogin, tellIdleLimit},
	{"connections", "connections at a time", needsLogin, tryConnections},
}

// probePatience bounds one probe: the server may be slow, and the client waits long by itself.
const probePatience = 2 * time.Minute

func (e *examination) runProbes(ctx context.Context) {
	for _, p := range probes {
		if ctx.Err() != nil {
			return
		}
		e.Progress(p.title)
		e.report.Features = append(e.report.Features, e.runProbe(ctx, p))
	}
	if !e.Writes {
		return
	}
	if e.full != nil {
		e.problem(NeedsPerson, "the server has no room for more files: "+clean(shortReply(e.full)), "make room there, or have the quota of this login raised")
	}
	if upload, _ := e.report.feature("upload"); upload.Verdict == Broken {
		e.problem(NeedsPerson, "uploads do not work: "+upload.Detail, "ask the operator of the server for the right to write to "+path.Dir(e.scratch))
	}
	if rename, _ := e.report.feature("rename_over"); rename.Verdict == Broken {
		e.problem(NeedsPerson, "a file that is there cannot be replaced: "+rename.Detail,
			"ask the operator of the server for the right to rename and remove files")
	}
}

func (e *examination) runProbe(ctx context.Context, p probe) Feature {
	f := Feature{Key: p.key, Title: p.title, Verdict: Unknown}
	if p.needs == needsData {
		switch {
		case e.scratch == "":
			f.Detail = notTried + "no folder to try it in"
			return f
		case !e.data:
			f.Detail = notTried + "no data connection"
			return f
		case !e.ours:
			f.Detail = clean(notTried + e.report.Scratch.Error)
			return f
		}
		if upload, tried := e.report.feature("upload"); tried && upload.Verdict != Works {
			f.Detail = notTried + "no file can be uploaded"
			return f
		}
	}
	conn, err := e.alive(ctx)
	if err != nil {
		f.Detail = clean(notTried + err.Error())
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	began := time.Now()
	verdict, value, detail, err := p.run(ctx, e, conn)
	f.Took = Span(time.Since(began))
	f.Verdict, f.Value, f.Detail = verdict, value, detail
	if err != nil {
		f.Verdict, f.Detail = e.failure(conn, err)
	}
	f.Detail = clean(f.Detail)
	return f
}

// failure is the verdict of a probe that ended with an error.
func (e *examination) failure(conn *ftpclient.Conn, err error) (Verdict, string) {
	var refused *ftpclient.Error
	switch {
	case e.noRoom(err):
		return Unknown, "no room to try it: " + shortReply(err)
	case errors.Is(err, ftpclient.ErrMismatch):
		return Broken, err.Error()
	case errors.Is(err, ftpclient.ErrUnsupported):
		return Absent, shortReply(err)
	case !conn.Usable():
		return Broken, "the connection ended over it: " + err.Error()
	case errors.As(err, &refused) && refused.Code >= 400:
		return Absent, shortReply(err)
	}
	return Unknown, err.Error()
}

// noRoom reports whether a disk or a quota is full, which says nothing about what was tried.
func (e *examination) noRoom(err error) bool {
	if ftpclient.Classify(err) != ftpclient.ClassLater {
		return false
	}
	e.full = err
	return true
}

// shortReply is what the server said, without what was asked.
func shortReply(err error) string {
	var refused *ftpclient.Error
	if errors.As(err, &refused) && refused.Code != 0 {
		return fmt.Sprintf("%d %s", refused.Code, refused.Text)
	}
	if errors.As(err, &refused) && refused.Err != nil {
		return refused.Err.Error()
	}
	return err.Error()
}
