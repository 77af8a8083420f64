package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

// syncsRequest is the body of the requests that name syncs.
type syncsRequest struct {
	Syncs []string `json:"syncs"`
}

type errorResponse struct {
	Error string `json:"error"`
}

// maxBody bounds what a client may send, in bytes.
const maxBody = 1 << 20

// Serve answers requests on listener until ctx is done, and then ends those under way.
func Serve(ctx context.Context, listener *Listener, service Service, logger *slog.Logger) error {
	var handle http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(current(service)).ServeHTTP(w, r) })
	if listener.guard != nil {
		handle = listener.guard(handle)
	}
	if err := serveUntil(ctx, listener, &http.Server{Handler: handle}, logger); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// closePatience bounds the wait for requests under way when the agent stops.
const closePatience = 2 * time.Second

func current(service Service) Service {
	if c, ok := service.(Current); ok {
		return c.Current()
	}
	return service
}

func handler(service Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/ping", answer(func(context.Context, struct{}) (any, error) { return struct{}{}, nil }))
	mux.HandleFunc("POST /v1/health", answer(func(ctx context.Context, _ struct{}) (any, error) { return struct{}{}, service.Health(ctx) }))
	mux.HandleFunc("POST /v1/pass", answer(func(ctx context.Context, request syncsRequest) (any, error) {
		return service.Pass(ctx, request.Syncs)
	}))
	mux.HandleFunc("POST /v1/full-pass", answer(func(ctx context.Context, request syncsRequest) (any, error) {
		return service.FullPass(ctx, request.Syncs)
	}))
	mux.HandleFunc("POST /v1/plan", answer(func(ctx context.Context, request syncsRequest) (any, error) {
		return service.Plan(ctx, request.Syncs)
	}))
	mux.HandleFunc("POST /v1/reload", answer(func(ctx context.Context, _ struct{}) (any, error) { return service.Reload(ctx) }))
	mux.HandleFunc("POST /v1/snapshot", func(w http.ResponseWriter, r *http.Request) { sendSnapshot(w, r, service) })
	shared(mux, service)
	profiles(mux)
	return mux
}

// profiles are for "go tool pprof", and for nobody who is not the agent's user.
func profiles(mux *http.ServeMux) {
	for name, profile := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		mux.HandleFunc("GET /debug/pprof/"+name, profile)
	}
}

func answer[Request any](do func(context.Context, Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if err := readRequest(w, r, &request); err != nil {
			refuse(w, r, err)
			return
		}
		body, err := do(r.Context(), request)
		if err != nil {
			refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(body)
	}
}

func readRequest(w http.ResponseWriter, r *http.Request, into any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// A limit for the time that requests take to come would break off the answers to this one when it is reached.
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	refuseAs(w, statusOf(r, err), err.Error())
}

func refuseAs(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(errorResponse{reason})
}

func statusOf(r *http.Request, err error) int {
	switch {
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrUnknownSync):
		return http.StatusNotFound
	case errors.Is(err, ErrConfiguration):
		return http.StatusConflict
	case r.Context().Err() != nil || errors.Is(err, ErrGone):
		return http.StatusServiceUnavailable // the agent ends
	}
	return http.StatusUnprocessableEntity
}
