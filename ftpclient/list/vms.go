package list

import "strings"

// readVMS reads the listings of the servers for OpenVMS: UCX and TCP/IP Services, MultiNet, TCPware, CMU.
//
//	Directory DISK$FTP:[ANONYMOUS]
//
//	CII-MANUAL.TEX;1  213/216  29-JAN-1996 03:33:12  [ANONYMOU,ANONYMOUS]   (RWED,RWED,,)
//	CORE.DIR;1          1  8-SEP-1996 16:09 [SYSTEM] (RWE,RWE,RE,RE)
//	A-NAME-THAT-LEAVES-NO-ROOM.TXT;12
//	                     4/15  24-FEB-2003 13:17:24.05
//
//	Total of 3 files, 218/232 blocks.
//
// Sources: the manual of OpenVMS (DIRECTORY, file specifications) and the comments of ftpparse and of Mozilla's parser.
// Sizes count blocks of 512 bytes, the last one not full, so they are not known. Names are without their version, which
// stands in Unique: the server takes that for the newest. Folders are without ".DIR;1". Of a file
// of which the server says that it has no privilege to tell more, the name is known.
func readVMS(line string, r *reading) (Entry, verdict) {
	if isVMSDirectory(line) {
		// With a second one the listing is of several directories.
		if r.headed {
			return Entry{}, rejected
		}
		r.headed = true
		return Entry{}, skipped
	}
	if isVMSFoot(line) || (r.headed && isVMSRest(line)) {
		return Entry{}, skipped
	}
	name, version, rest, ok := vmsName(line)
	if !ok {
		return Entry{}, rejected
	}
	if trimBlanks(rest) == "" {
		// The columns stand on the next line, if it is one of columns.
		rest, r.joined = r.peek(), true
		if _, _, _, isName := vmsName(rest); isName {
			return Entry{}, rejected
		}
	}
	entry := Entry{Type: File, Size: -1, Name: name, Unique: name + version}
	if !vmsColumns(&entry, rest, r.Options) {
		return Entry{}, rejected
	}
	r.headed = true
	if stem := len(name) - len(".DIR"); stem > 0 && strings.EqualFold(name[stem:], ".DIR") {
		entry.Type, entry.Name = Dir, name[:stem]
		if entry.Name == "000000" {
			entry.Type = listed // the master file directory is an entry of itself
		}
	}
	return entry, accepted
}

// vmsName splits "[DIRECTORY]NAME.TYPE;1  columns".
func vmsName(line string) (name, version, rest string, ok bool) {
	semicolon := strings.IndexByte(line, ';')
	if semicolon <= 0 || isBlankAt(line, 0) {
		return "", "", "", false
	}
	name = line[:semicolon]
	end := semicolon + 1
	for end < len(line) && isDigit(line[end]) {
		end++
	}
	if end == semicolon+1 || end < len(line) && !isBlankAt(line, end) {
		return "", "", "", false
	}
	if name[0] == '[' {
		name = name[strings.IndexByte(name, ']')+1:]
	}
	return name, line[semicolon:end], line[end:], name != "" && isAll(name, isVMSLetter)
}

// isVMSLetter tells the bytes that names may have, with those of ODS-5, where a "^" stands before odd ones and "^_" is a
// blank.
func isVMSLetter(c byte) bool { return c > ' ' && c != ':' && c != '=' && c != 0x7f }

// vmsColumns reads the columns after the name, in which the date stands before or behind the size and the owner.
func vmsColumns(entry *Entry, line string, o *Options) bool {
	c := columns{line: line}
	for {
		word := c.next()
		if year, month, day, ok := namedDate(word, false); ok {
			after := c
			t, hasTime := clockTime(after.next())
			if !hasTime {
				t = timeOfDay{precision: Day}
			}
			if month != 0 {
				entry.setTime(year, month, day, t, o)
			}
			return true
		}
		switch {
		case word == "":
			return false
		case word == "%RMS-E-PRV,":
			return true
		case word[0] == '[':
			for word != "" && word[len(word)-1] != ']' {
				word = c.next()
			}
		case !isVMSSize(word):
			return false
		}
	}
}

// isVMSSize knows "213", "213/216" and "2KB".
func isVMSSize(word string) bool {
	word = strings.TrimRight(word, "KMGB")
	return isAll(word, func(c byte) bool { return isDigit(c) || c == '/' || c == '.' }) && isDigit(word[0])
}

// isVMSDirectory knows "Directory DISK:[FOLDER]", and the same without the first word.
func isVMSDirectory(line string) bool {
	c := columns{line: line}
	word := c.next()
	if strings.EqualFold(word, "Directory") {
		word = c.next()
	}
	bracket := strings.Index(word, ":[")
	return bracket > 0 && word[len(word)-1] == ']' && c.next() == "" && strings.IndexByte(word, ';') < 0
}

// isVMSFoot knows "Total of 3 files, 12/30 blocks." and its variants.
func isVMSFoot(line string) bool {
	c := columns{line: line}
	word := c.next()
	if strings.EqualFold(word, "Grand") {
		word = c.next()
	}
	if !strings.EqualFold(word, "Total") {
		return false
	}
	if word = c.next(); strings.EqualFold(word, "of") {
		word = c.next()
	}
	unit := strings.ToLower(strings.TrimRight(c.next(), ",."))
	return isDigits(word) && (unit == "file" || unit == "files" || unit == "directories" || unit == "directory")
}

// isVMSRest knows the owner and the protection of the entry above where they had no room on its line.
func isVMSRest(line string) bool {
	rest := trimBlanks(line)
	return isBlankAt(line, 0) && (rest[0] == '[' || rest[0] == '(') && rest[len(rest)-1] == ')'
}

// newestVersions leaves one entry for all the versions of a file: the newest, in the place of the first.
func newestVersions(entries []Entry) []Entry {
	first := make(map[string]int, len(entries))
	kept := entries[:0]
	for _, entry := range entries {
		at, seen := first[entry.Name]
		switch {
		case !seen:
			first[entry.Name] = len(kept)
			kept = append(kept, entry)
		case versionOf(entry) > versionOf(kept[at]):
			kept[at] = entry
		}
	}
	return kept
}

// versionOf reads the number behind the last ';' or '.' of the name with its version.
func versionOf(entry Entry) int64 {
	version, _ := decimal(entry.Unique[strings.LastIndexAny(entry.Unique, ";.")+1:])
	return version
}
