package extip_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestUPnPGivesUp(t *testing.T) {
	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		gateway, u := recorded(t, ftptest.IGDOptions{Silent: true})
		start := time.Now()
		_, err := u.Lookup(t.Context())
		if took := time.Since(start); !errors.Is(err, extip.ErrNoGateway) || took > time.Minute || gateway.Count("search") < 8 {
			t.Errorf("%v after %s and %d packets", err, took, gateway.Count("search"))
		}
	})
	t.Run("the search is answered, and then there is silence", func(t *testing.T) {
		t.Parallel()
		gateway, u := recorded(t, ftptest.IGDOptions{Hanging: true})
		start := time.Now()
		_, err := u.Lookup(t.Context())
		if took := time.Since(start); !errors.Is(err, extip.ErrNoGateway) || took > time.Minute || gateway.Count("description") != 1 {
			t.Errorf("%v after %s", err, took)
		}
	})
	t.Run("the caller stops waiting for a search", func(t *testing.T) {
		t.Parallel()
		_, u := recorded(t, ftptest.IGDOptions{Silent: true})
		stopped(t, u, 1200*time.Millisecond) // when everything has been sent, and it waits for a long time
	})
	t.Run("the caller stops waiting for an answer", func(t *testing.T) {
		t.Parallel()
		gateway, u := recorded(t, ftptest.IGDOptions{})
		if _, err := u.Lookup(t.Context()); err != nil {
			t.Fatal(err)
		}
		gateway.Change(func(o *ftptest.IGDOptions) { o.Silent = true })
		stopped(t, u, 50*time.Millisecond)
	})
}

func stopped(t *testing.T, u *extip.UPnP, after time.Duration) {
	t.Helper()
	reason := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(after, func() { cancel(reason) })
	defer timer.Stop()
	if _, err := u.Lookup(ctx); !errors.Is(err, reason) || errors.Is(err, extip.ErrNoGateway) {
		t.Errorf("%v", err)
	}
}
