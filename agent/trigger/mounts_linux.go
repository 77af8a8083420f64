package trigger

import (
	"os"
	"path/filepath"
	"strings"
)

// mountEscapes are those of mountinfo; see proc(5).
var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountsBelow returns the paths below a folder on which filesystems are mounted, and for each a number that another mount there
// would not have. There is no error: without an answer nothing is known of mounts.
func mountsBelow(base string) map[string]string {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return parseMounts(string(text), base)
}

func parseMounts(text, base string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		rel, err := filepath.Rel(base, mountEscapes.Replace(fields[4]))
		if err == nil && rel != "." && filepath.IsLocal(rel) {
			found[rel] = fields[0] // of several on top of one another the last is seen
		}
	}
	return found
}
