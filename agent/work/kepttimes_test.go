package work

import (
	"testing"
	"time"
)

// TestKeptTimes: only an odd second proves a folder, and what differs there disproves it.
func TestKeptTimes(t *testing.T) {
	even := time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)
	odd := even.Add(time.Second)
	type look struct {
		folder    string
		told, has time.Time
	}
	for name, row := range map[string]struct {
		looks []look
		want  string
	}{
		"nothing was looked at":          {nil, ""},
		"an odd second":                  {[]look{{"/a", odd, odd}}, "/a"},
		"an even one may be rounded":     {[]look{{"/a", even, even}}, ""},
		"another one proves no more":     {[]look{{"/a", odd, odd}, {"/a", even, even}}, "/a"},
		"another folder":                 {[]look{{"/a", odd, odd}, {"/b", odd, odd}}, "/b"},
		"another one in the same folder": {[]look{{"/a", odd, odd}, {"/a", odd, even}}, ""},
		"another one in another folder":  {[]look{{"/a", odd, odd}, {"/b", odd, even}}, "/a"},
	} {
		var kept keptTimes
		for _, l := range row.looks {
			kept.learn(l.folder, l.told, l.has)
		}
		if kept.folder != row.want {
			t.Errorf("%s: %q, not %q", name, kept.folder, row.want)
		}
	}
}
