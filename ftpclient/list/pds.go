package list

import "strings"

// readPDS reads the members of a partitioned data set of z/OS, of which the ones that were not written by the editor
// have no statistics, and those that are programs have others:
//
//	 Name     VV.MM   Created       Changed      Size  Init   Mod   Id
//	DSSCOPY   01.08 1997/04/15 2003/03/27 16:23    12    11     8 ANNA
//	BLSGPROF
//	 Name      Size     TTR   Alias-of AC --------- Attributes --------- Amode Rmode
//	EAGRTPRC  005F48   000011 EAGRTALT 00 FO             RN RU            31    ANY
//
// Source: z/OS Communications Server, IP User's Guide (DIR). The size of a text counts records, so it is not known; that
// of a program is in bytes, in hexadecimal. A bare name is read only behind the head.
func readPDS(line string, r *reading) (Entry, verdict) {
	if isPDSHead(line) {
		r.headed = true
		return Entry{}, skipped
	}
	var buffer [wordsAtMost]string
	words, ok := splitWords(line, &buffer)
	if !ok || len(words) == 0 {
		return Entry{}, rejected
	}
	entry := Entry{Type: File, Size: -1, Name: words[0]}
	switch {
	case !isAll(entry.Name, isMVSLetter):
	case len(words) == 1:
		const longest = 8
		isMember := func(c byte) bool { return isUpper(c) || isDigit(c) || strings.IndexByte("@#${", c) >= 0 }
		if (r.headed || r.Format != "") && len(entry.Name) <= longest && isAll(entry.Name, isMember) {
			return entry, accepted
		}
	case len(words) >= 8 && isVersion(words[1]):
		if _, _, ok := threeNumbers(words[2]); ok && pdsChanged(&entry, words[3], words[4], r) {
			return entry, accepted
		}
	case len(words) >= 6:
		size, okSize := hexadecimal(words[1])
		_, okPlace := hexadecimal(words[2])
		if okSize && okPlace && len(words[1]) == 6 && len(words[2]) == 6 && isMode(words[len(words)-1]) {
			entry.Size = size
			return entry, accepted
		}
	}
	return Entry{}, rejected
}

func isPDSHead(line string) bool {
	c := columns{line: line}
	if c.next() != "Name" {
		return false
	}
	second, third := c.next(), c.next()
	return second == "VV.MM" && third == "Created" || second == "Size" && third == "TTR"
}

// isVersion knows "01.08".
func isVersion(word string) bool {
	return len(word) == 5 && word[2] == '.' && isDigits(word[:2]) && isDigits(word[3:])
}

// isMode knows the addressing and residence modes of programs.
func isMode(word string) bool { return word == "ANY" || word == "24" || word == "31" || word == "64" }

func pdsChanged(entry *Entry, date, clock string, r *reading) bool {
	parts, separator, ok := threeNumbers(date)
	t, okTime := clockTime(clock)
	if !ok || !okTime || separator != '/' {
		return false
	}
	year, month, day, ok := inOrder(parts, yearMonthDay)
	if ok {
		entry.setTime(year, month, day, t, r.Options)
	}
	return ok
}
