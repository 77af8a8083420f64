package state

import "testing"

func TestOtherDevice(t *testing.T) {
	disk := Device{Number: 1, ID: "a", Mount: "/dev/sda1 ext4"}
	for _, test := range []struct {
		name    string
		is, was Device
		other   bool
	}{
		{"the same", disk, disk, false},
		{"another number after a restart", Device{2, "a", "/dev/sda1 ext4"}, disk, false},
		{"another name of the disk, too", Device{2, "a", "/dev/sdb1 ext4"}, disk, false},
		{"only the name is the same", Device{2, "b", "/dev/sda1 ext4"}, disk, false},
		{"nothing is the same", Device{2, "b", "/dev/vda ext4"}, disk, true},
		{"nothing that is known of both is the same", Device{Number: 2, Mount: "/dev/vda ext4"}, Device{Number: 1, ID: "a"}, true},
		{"nothing is known of both", Device{ID: "b"}, Device{Number: 1}, false},
		{"nothing was known", disk, Device{}, false},
		{"nothing is known", Device{}, disk, false},
	} {
		if test.is.Other(test.was) != test.other || test.was.Other(test.is) != test.other {
			t.Errorf("%s: another one: %v", test.name, !test.other)
		}
	}
}
