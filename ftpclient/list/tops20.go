package list

import "strings"

// readTOPS20 reads the two formats of TOPS-20. The short one has only names, and is read behind its head alone:
//
//	PS:<ANONYMOUS>
//	LOGIN.CMD.1
//
//	<ANONYMOUS>INSTALL.MEM.1;P775252;A,210,10-Apr-1990 13:17:41,10-Apr-1990 13:18:26,11-Jan-2003 11:34:26
//
// Source: listings of twenex.org and toad.xkl.com in the comments of Indy. The number at the end is the generation: names
// are without it, as for the server that means the newest, and it stands in Unique. The second date is that of the
// last write. Sizes count pages, so they are not known.
func readTOPS20(line string, r *reading) (Entry, verdict) {
	if opening := strings.Index(line, ":<"); opening > 0 && line[len(line)-1] == '>' && isAll(line, isVisible) {
		if r.headed {
			return Entry{}, rejected // of several directories
		}
		r.headed = true
		return Entry{}, skipped
	}
	name, facts, isLong := strings.Cut(line, ";")
	if !isLong && !r.headed && r.Format == "" || !isAll(name, isVisible) {
		return Entry{}, rejected
	}
	closing := strings.IndexByte(name, '>')
	if isLong && (name[0] != '<' || closing < 0) {
		return Entry{}, rejected
	}
	entry := Entry{Type: File, Size: -1, Unique: name[closing+1:]}
	dot := strings.LastIndexByte(entry.Unique, '.')
	if dot < 1 || !isDigits(entry.Unique[dot+1:]) {
		return Entry{}, rejected
	}
	entry.Name = entry.Unique[:dot]
	if folder, isDir := strings.CutSuffix(entry.Name, ".DIRECTORY"); isDir && folder != "" {
		entry.Type, entry.Name = Dir, folder
	}
	if isLong && !tops20Written(&entry, facts, r.Options) {
		return Entry{}, rejected
	}
	return entry, accepted
}

func isVisible(c byte) bool { return c > ' ' && c != 0x7f }

// tops20Written reads the second of the dates: "P775252;A,210,created,written,read".
func tops20Written(entry *Entry, facts string, o *Options) bool {
	var values [4]string
	for i := range values {
		values[i], facts, _ = strings.Cut(facts, ",")
	}
	date, clock, _ := strings.Cut(values[3], " ")
	year, month, day, okDate := namedDate(date, false)
	t, okTime := clockTime(clock)
	if !okDate || !okTime || month == 0 {
		return false
	}
	entry.setTime(year, month, day, t, o)
	return true
}
