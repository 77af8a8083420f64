package main

import (
	"os"
	"testing"
)

// TestNobodySitsAtTheNullDevice, so that nothing is asked there and no bars are shown.
func TestNobodySitsAtTheNullDevice(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("it is taken for a terminal")
	}
}
