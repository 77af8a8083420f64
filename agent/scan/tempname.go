package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// maxName is the longest name, in bytes, that common filesystems take.
const maxName = 255

// tempMark stands in every temporary name, so that no sync takes one for a file.
const tempMark = ".ftpferry-"

// TempForm is what surrounds temporary names: some servers show, take or process files by how their names begin or end.
type TempForm struct{ Prefix, Suffix string }

// DefaultTempForm hides temporary names from most listings of people and programs.
var DefaultTempForm = TempForm{Prefix: "."}

// TempName is the name beside name under which an attempt of a job writes until the content is
// complete and verified: ".NAME.ftpferry-INSTANCE-JOB.ATTEMPT". Instance tells the agents apart
// that share a folder. Each attempt has a name of its own, because a server may still hold
// the file of the one before. Names that would grow too long are shortened by hash.
func TempName(name, instance string, job uint64, attempt int) string {
	return DefaultTempForm.Name(name, instance, job, attempt)
}

// Name is TempName in another form.
func (f TempForm) Name(name, instance string, job uint64, attempt int) string {
	mark := fmt.Sprintf("%s%s-%x.%d", tempMark, instance, job, attempt)
	if len(f.Prefix)+len(name)+len(mark)+len(f.Suffix) > maxName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:16])
	}
	return f.Prefix + name + mark + f.Suffix
}

// WithoutDot is the form of a temporary name for servers that refuse a leading dot.
func WithoutDot(temp string) string { return strings.TrimPrefix(temp, ".") }

// ParseTempName says whether name is a temporary one, and whose. Whatever surrounds temporary names now, those are recognized
// that were made before: any prefix, and any suffix that does not begin with a digit.
func ParseTempName(name string) (instance string, job uint64, ok bool) {
	instance, job, _, ok = parseTempName(name)
	return instance, job, ok
}

func parseTempName(name string) (instance string, job uint64, attempt int, ok bool) {
	at := strings.LastIndex(name, tempMark)
	if at <= 0 {
		return "", 0, 0, false
	}
	instance, number, found := strings.Cut(name[at+len(tempMark):], "-")
	if !found || len(instance) != 8 {
		return "", 0, 0, false
	}
	if _, err := strconv.ParseUint(instance, 16, 32); err != nil {
		return "", 0, 0, false
	}
	number, rest, found := strings.Cut(number, ".")
	if found {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		of, err := strconv.ParseUint(rest[:digits], 10, 31)
		if err != nil {
			return "", 0, 0, false
		}
		attempt = int(of)
	}
	job, err := strconv.ParseUint(number, 16, 64)
	return instance, job, attempt, err == nil
}

// IsTemp reports whether the last element of a path is a temporary name, or one of a claimed file.
func IsTemp(rel string) bool {
	name := rel[strings.LastIndexByte(rel, '/')+1:]
	_, _, temp := ParseTempName(name)
	_, _, _, claim := ParseClaimName(name)
	return temp || claim
}
