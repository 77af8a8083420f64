package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// pageFiles is the status page: files as they are, without a build.
//
//go:embed page
var pageFiles embed.FS

// mostRows bounds what one request over TCP gets, in rows, and mostNotes the paths it gets named for each sync. The socket has no such
// bounds.
const (
	mostRows  = 1000
	mostNotes = 100
)

// pageTypes are the types of the files, by the ends of their names: what the system has to say about that differs.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func readPageFile(name string) []byte {
	content, err := fs.ReadFile(pageFiles, "page/"+name)
	if err != nil {
		panic(err) // it is not in the program
	}
	return content
}

// pageFile shows a file. Browsers keep it and ask whether it is still the same.
func pageFile(name string, content []byte) http.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", pageTypes[path.Ext(name)])
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}

// index is the page. Where there is a token it has a button to log out.
func (web Web) index() http.HandlerFunc {
	content := readPageFile("index.html")
	if web.Token != "" {
		content = bytes.Replace(content, []byte(`id="logout" hidden`), []byte(`id="logout"`), 1)
	}
	return pageFile("index.html", content)
}

// wrongToken is what login.html has in place of its comment where the token was wrong.
const wrongToken = `<p class="wrong" role="alert">That is not the token.</p>`

func showLogin(w http.ResponseWriter, status int) {
	content := readPageFile("login.html")
	if status != http.StatusOK {
		content = bytes.Replace(content, []byte("<!-- wrong -->"), []byte(wrongToken), 1)
	}
	w.Header().Set("Content-Type", pageTypes[".html"])
	w.WriteHeader(status)
	w.Write(content)
}

// pageParts adds what index.html and the login need to be shown. None of it is a secret: who logs in needs it before.
func pageParts(mux *http.ServeMux) {
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		panic(err) // it is not in the program
	}
	for _, entry := range entries {
		if path.Ext(entry.Name()) != ".html" {
			mux.HandleFunc("GET /page/"+entry.Name(), pageFile(entry.Name(), readPageFile(entry.Name())))
		}
	}
}

// shared adds what the status page may ask for as well as those at the socket. Both say the same, in the same form.
func shared(mux *http.ServeMux, service Service) {
	mux.HandleFunc("POST /v1/approve", answer(func(ctx context.Context, request ApproveRequest) (any, error) {
		return struct{}{}, service.Approve(ctx, request)
	}))
	mux.HandleFunc("POST /v1/pause", answer(func(ctx context.Context, request PauseRequest) (any, error) {
		return service.Pause(ctx, request)
	}))
	mux.HandleFunc("POST /v1/resume", answer(func(ctx context.Context, request ResumeRequest) (any, error) {
		return service.Resume(ctx, request)
	}))
	mux.HandleFunc("POST /v1/jobs", stream(service.Jobs))
	mux.HandleFunc("POST /v1/jobs/retry", answer(func(ctx context.Context, filter JobFilter) (any, error) {
		return service.RetryJobs(ctx, filter)
	}))
	mux.HandleFunc("POST /v1/jobs/drop", func(w http.ResponseWriter, r *http.Request) { drop(w, r, service) })
	mux.HandleFunc("POST /v1/history", stream(func(ctx context.Context, filter HistoryFilter, each func(HistoryRow) error) (struct{}, error) {
		return struct{}{}, service.History(ctx, filter, each)
	}))
	mux.HandleFunc("POST /v1/status", answer(func(ctx context.Context, filter StatusFilter) (any, error) {
		return service.Status(ctx, filter)
	}))
	mux.HandleFunc("POST /v1/explain", answer(func(ctx context.Context, request explainRequest) (any, error) {
		return service.Explain(ctx, request.Sync, string(request.Path))
	}))
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { sendEvents(w, r, service) })
}

// answerPatience bounds how long it takes to send an answer that was long in coming.
const answerPatience = time.Minute

// drop waits until what is under way has ended, however long that takes: a limit for answers as a whole is for readers who take their time.
func drop(w http.ResponseWriter, r *http.Request, service Service) {
	connection := http.NewResponseController(w)
	connection.SetWriteDeadline(time.Time{})
	answer(func(ctx context.Context, filter JobFilter) (any, error) {
		changed, err := service.DropJobs(ctx, filter)
		connection.SetWriteDeadline(time.Now().Add(answerPatience))
		return changed, err
	})(w, r)
}

// bounded is a service that nobody can have read a million rows.
type bounded struct{ Service }

// atMost is n, of which 0 means all, within a bound.
func atMost(n, most int) int {
	if n <= 0 || n > most {
		return most
	}
	return n
}

func (b bounded) Jobs(ctx context.Context, filter JobFilter, each func(Job) error) ([]SyncJobs, error) {
	filter.Limit = atMost(filter.Limit, mostRows)
	return b.Service.Jobs(ctx, filter, each)
}

func (b bounded) History(ctx context.Context, filter HistoryFilter, each func(HistoryRow) error) error {
	filter.Limit = atMost(filter.Limit, mostRows)
	return b.Service.History(ctx, filter, each)
}

func (b bounded) Status(ctx context.Context, filter StatusFilter) (Overview, error) {
	filter.Notes = atMost(filter.Notes, mostNotes)
	return b.Service.Status(ctx, filter)
}
