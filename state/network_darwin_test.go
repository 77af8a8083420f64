package state

import "testing"

func TestNetworkName(t *testing.T) {
	for kind, want := range map[string]string{"nfs": "nfs", "smbfs": "smbfs", "macFUSE": "macFUSE", "apfs": "", "hfs": "", "": ""} {
		if got := networkName(kind); got != want {
			t.Errorf("networkName(%q) = %q, want %q", kind, got, want)
		}
	}
}
