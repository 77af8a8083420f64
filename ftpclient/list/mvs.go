package list

import (
	"slices"
	"strings"
)

// readMVS reads the data sets of z/OS:
//
//	Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname
//	WYOSPT 3390   2003/05/21  1  200  FB      80  8053  PS  SOME.FILE
//	TERNBG 2022/02/17      1         3  FB      80 16000 PO-E  SOME.LIBRARY
//	Migrated                                                SOME.OLD.FILE
//	Pseudo Directory                                        LEVEL
//
// Sources: z/OS Communications Server, IP User's Guide (DIR, SITE LISTLEVEL, SITE DIRECTORYMODE). Columns run into each
// other, so only the first, the date, and the last two are looked at. Sizes count tracks, and the date is that of the
// last use, so neither tells anything. Partitioned data sets are folders. Migrated data sets and those on tape count as
// files, as retrieving them brings them back; what FTP cannot transfer is of the type Other.
func readMVS(line string, r *reading) (Entry, verdict) {
	var buffer [wordsAtMost]string
	words, ok := splitWords(line, &buffer)
	if !ok || len(words) < 2 {
		return Entry{}, rejected
	}
	last := len(words) - 1
	if words[0] == "Volume" && words[last] == "Dsname" && words[last-1] == "Dsorg" {
		r.headed = true
		return Entry{}, skipped
	}
	name := words[last]
	if len(name) > 2 && name[0] == '\'' && name[len(name)-1] == '\'' {
		name = name[1 : len(name)-1]
	}
	entry := Entry{Name: name, Size: -1}
	if !isAll(name, isMVSLetter) {
		return Entry{}, rejected
	}
	if entry.Type, ok = mvsType(words[:last], r.headed || r.Format != ""); !ok {
		return Entry{}, rejected
	}
	return entry, accepted
}

// isMVSLetter tells the bytes of data set names.
func isMVSLetter(c byte) bool {
	return isLetter(c) || isDigit(c) || strings.IndexByte("@#$.-_+{}()", c) >= 0
}

// mvsType finds out the type from the words before the name. What is not the full row of a data set needs the head of
// the table, unless no other server writes it.
func mvsType(words []string, headed bool) (Type, bool) {
	volume := len(words[0]) <= 6 && isAll(words[0], func(c byte) bool { return isMVSLetter(c) && c != '.' })
	switch {
	case are(words, "Migrated"), are(words, "MIGRAT"):
		return File, true
	case are(words, "Pseudo", "Directory"):
		return Dir, true
	case are(words, "User", "catalog", "connector"):
		return Other, true
	case headed && volume && (are(words[1:], "Error", "determining", "attributes") || are(words[1:], "Not", "Mounted")):
		return Other, true
	case headed && words[0] == "ARCIVE":
		return File, true
	case volume && len(words) == 2 && words[1] == "Tape" && strings.ContainsAny(words[0], "0123456789"):
		return File, true
	}
	kind, known := Other, true
	switch words[len(words)-1] {
	case "PS", "PS-E", "PSU", "DA", "DAU":
		kind = File
	case "PO", "PO-E", "POU":
		kind = Dir
	case "VS", "VSAM", "HFS", "ZFS", "IS", "ISU", "GDG", "PATH", "AIX", "ALIAS":
	default:
		known = false
	}
	if len(words) == 1 || words[len(words)-1] == "VSAM" {
		return kind, known && (headed || volume && len(words) == 3 && len(words[1]) == 4 && isAll(words[1], isHex))
	}
	return kind, known && volume && (isReferred(words[1]) || len(words) > 2 && isReferred(words[2]))
}

func are(words []string, text ...string) bool { return slices.Equal(words, text) }

// isReferred knows the date of the last use, to which the next column may stick.
func isReferred(word string) bool {
	const date = len("2003/05/21")
	if strings.HasPrefix(word, "**NONE**") {
		return true
	}
	if len(word) > date {
		word = word[:date]
	}
	_, separator, ok := threeNumbers(word)
	return ok && separator == '/'
}
