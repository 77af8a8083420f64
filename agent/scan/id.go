package scan

import (
	"hash/fnv"
	"strings"
)

// remoteID makes a number of the fact "unique" (RFC 3659 section 7.5.2): what has the same one is the same file. 0 means that
// the server does not tell. On VMS it is the name with its version, which a fact cannot hold.
func remoteID(unique string) uint64 {
	if unique == "" || strings.Contains(unique, ";") {
		return 0
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(unique)) // never fails
	return max(sum.Sum64(), 1)
}
