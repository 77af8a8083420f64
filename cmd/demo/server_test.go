package main

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

func TestDataPortsAreOnTheLoopbackAddress(t *testing.T) {
	everywhere, err := net.ListenTCP("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := new(server).WrapPassiveListener(everywhere)
	if err != nil {
		t.Fatal(err)
	}
	defer wrapped.Close()
	if address := wrapped.Addr().(*net.TCPAddr); !address.IP.IsLoopback() {
		t.Errorf("it listens on %s", address)
	}
	// The library sets deadlines on the listener that it made.
	if err := everywhere.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Errorf("set a deadline: %v", err)
	}
	if _, err := wrapped.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the deadline has no effect: %v", err)
	}
}

func TestOnlyTheUserGetsIn(t *testing.T) {
	s := new(server)
	for _, test := range []struct {
		name, password string
		want           bool
	}{{user, password, true}, {user, "guess", false}, {"root", password, false}} {
		if _, err := s.AuthUser(nil, test.name, test.password); (err == nil) != test.want {
			t.Errorf("%s with password %q: %v", test.name, test.password, err)
		}
	}
}
