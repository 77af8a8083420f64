package state

import "testing"

func TestIsShare(t *testing.T) {
	for path, want := range map[string]bool{
		`C:\state`:                 false,
		`\\?\C:\state`:             false,
		`\\.\pipe\x`:               false,
		`\\server\share\state`:     true,
		`//server/share/state`:     true,
		`\\?\UNC\server\share\x`:   true,
		`\\?\unc\server\share\x`:   true,
		`\\?\UNCLE\is\not\a\share`: false,
	} {
		if got := isShare(path); got != want {
			t.Errorf("isShare(%q) = %v, want %v", path, got, want)
		}
	}
}
