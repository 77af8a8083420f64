package control

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// WebServer serves a Web whose place another one may take meanwhile. The zero value has to be given one by Show first.
type WebServer struct{ shown atomic.Pointer[shown] }

// shown is a Web while it is served. over is closed when those have to ask anew who were let in.
type shown struct {
	handler http.Handler
	token   string
	over    chan struct{}
}

// Show puts another Web in the place of the one that is served. Where it wants another token, the requests under way end: who made
// them may not be somebody whom it lets in. It is for one caller at a time.
func (s *WebServer) Show(web Web) {
	next := &shown{handler: web.handler(), token: web.Token, over: make(chan struct{})}
	was := s.shown.Load()
	same := was != nil && was.token == next.token
	if same {
		next.over = was.over
	}
	s.shown.Store(next)
	if was != nil && !same {
		close(was.over)
	}
}

// Token is what those have to know now who ask. Any goroutine may call it.
func (s *WebServer) Token() string { return s.shown.Load().token }

// Serve answers requests on listener until ctx is done. What takes longer than the limits here lifts them for itself by
// http.ResponseController.
func (s *WebServer) Serve(ctx context.Context, listener net.Listener, logger *slog.Logger) error {
	return serveUntil(ctx, listener, &http.Server{
		Handler:     http.HandlerFunc(s.answer),
		ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}, logger)
}

func (s *WebServer) answer(w http.ResponseWriter, r *http.Request) {
	is := s.shown.Load()
	ctx, end := context.WithCancel(r.Context())
	defer end()
	var waiting sync.WaitGroup
	defer waiting.Wait()
	answered := make(chan struct{})
	defer close(answered)
	waiting.Go(func() {
		select {
		case <-is.over:
			end()
		case <-answered:
		}
	})
	is.handler.ServeHTTP(w, r.WithContext(ctx))
}
