package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
func Serve(ctx context.Context, listener net.Listener, service Service, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler(service),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	select {
	case err := <-serving:
		return fmt.Errorf("control socket: %w", err)
	case <-ctx.Done():
	}
	// The requests under way end with ctx, which is theirs too; they get a moment to say so.
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	if err := server.Shutdown(farewell); err != nil {
		server.Close()
	}
	<-serving
	return nil
}

// closePatience bounds the wait for requests under way when the agent stops.
const closePatience = 2 * time.Second

func handler(service Service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/ping", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(context.Context, syncsRequest) (any, error) { return struct{}{}, nil })
	})
	mux.HandleFunc("POST /v1/pass", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context, request syncsRequest) (any, error) {
			return service.Pass(ctx, request.Syncs)
		})
	})
	mux.HandleFunc("POST /v1/plan", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context, request syncsRequest) (any, error) {
			return service.Plan(ctx, request.Syncs)
		})
	})
	mux.HandleFunc("POST /v1/approve", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context, request syncsRequest) (any, error) {
			for _, name := range request.Syncs {
				if err := service.Approve(ctx, name); err != nil {
					return nil, err
				}
			}
			return struct{}{}, nil
		})
	})
	return mux
}

func answer(w http.ResponseWriter, r *http.Request, do func(context.Context, syncsRequest) (any, error)) {
	var request syncsRequest
	status := http.StatusOK
	var body any
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&request)
	if err != nil {
		status = http.StatusBadRequest
	} else if body, err = do(r.Context(), request); err != nil {
		status = http.StatusUnprocessableEntity
		switch {
		case errors.Is(err, ErrUnknownSync):
			status = http.StatusNotFound
		case r.Context().Err() != nil || errors.Is(err, ErrGone):
			status = http.StatusServiceUnavailable // the agent ends
		}
	}
	if err != nil {
		body = errorResponse{err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
