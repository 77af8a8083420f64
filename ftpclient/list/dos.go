package list

import (
	"slices"
	"strings"
	"time"
)

// readDOS reads the format of IIS, which is that of the command DIR:
//
//	04-27-00  12:09PM       <DIR>          licensed
//	04-14-2000  15:47                  589 readme.htm
//	06/02/2026  23:08    <JUNCTION>     web [H:\web\public]
//
// Sources: the documentation of IIS (MS-DOS directory listing style, four-digit years) and of DIR; Windows CE has 24
// hours. IIS writes the month first whatever the language of Windows is, others follow the language.
func readDOS(line string, r *reading) (Entry, verdict) {
	if isDOSHead(line) || isForeignHead(line, r) {
		return Entry{}, skipped
	}
	if line == "" || !isDigit(line[0]) {
		return Entry{}, rejected
	}
	c := columns{line: line}
	parts, separator, ok := c.dosDate()
	if !ok {
		return Entry{}, rejected
	}
	year, month, day, ok := dosDate(parts, separator, r)
	if !ok {
		return Entry{}, rejected
	}
	clock, ok := dosClock(&c)
	if !ok {
		return Entry{}, rejected
	}
	entry := Entry{Size: -1}
	entry.setTime(year, month, day, clock, r.Options)
	r.headed = true
	kind := c.next()
	if size, ok := groupedSize(kind); ok {
		entry.Type, entry.Size, entry.Name = File, size, c.name()
		return entry, accepted
	}
	if entry.Type, ok = dosType(kind); !ok {
		return Entry{}, rejected
	}
	// Tags are padded to the width of the column of sizes. More blanks than that belong to the name.
	const width = 15
	entry.Name = c.rest()
	if pad := max(width-len(kind), 0); len(entry.Name) > pad && strings.Trim(entry.Name[:pad], " ") == "" {
		entry.Name = entry.Name[pad:]
	} else {
		entry.Name = strings.TrimLeft(entry.Name, " \t")
	}
	return dosTarget(entry)
}

// dosDate takes the numbers of a date, "04-27-00", "31.01.2024" and, in Hungarian, "2024. 01. 31.".
func (c *columns) dosDate() (parts [3]string, separator byte, ok bool) {
	date := c.next()
	if strings.HasSuffix(date, ".") {
		date = strings.TrimSuffix(date+c.next()+c.next(), ".")
	}
	return threeNumbers(date)
}

// dosDate reads a date with the year at the end, or at the start if it has four digits there.
func dosDate(parts [3]string, separator byte, r *reading) (year int, month time.Month, day int, ok bool) {
	switch {
	case len(parts[0]) == 4:
		return inOrder(parts, yearMonthDay)
	case separator == '.':
		return r.dates.read(parts, dayFirst)
	}
	return r.dates.read(parts, monthFirst)
}

var (
	monthFirst = []order{monthDayYear, dayMonthYear}
	dayFirst   = []order{dayMonthYear, monthDayYear}
)

// dosClock reads "03:47PM", "3:47 PM", "3:47p", "3:47 p. m.", "15:47" and, as in East Asia, the half of the day first.
func dosClock(c *columns) (timeOfDay, bool) {
	afternoon, hasHalf := c.half()
	word := c.next()
	digits := strings.TrimRight(word, "AaPpMm.")
	t, ok := clockTime(digits)
	switch {
	case !ok:
		return t, false
	case hasHalf:
	case digits == word:
		if afternoon, hasHalf = c.half(); !hasHalf {
			return t, true
		}
	default:
		if len(word) == len(digits)+1 {
			word += "m"
		}
		glued := columns{line: word, at: len(digits)}
		if afternoon, hasHalf = glued.half(); !hasHalf {
			return t, false
		}
	}
	const noon = 12
	if t.hour > noon {
		return t, false
	}
	t.hour %= noon
	if afternoon {
		t.hour += noon
	}
	return t, true
}

// halves of the day, in lower case, in UTF-8 and in GBK, Big5, EUC-KR and Shift-JIS.
var mornings = []string{"am", "a.m.", "上午", "오전", "午前", "\xc9\xcf\xce\xe7", "\xa4\x57\xa4\xc8", "\xbf\xc0\xc0\xfc", "\x8c\xdf\x91\x4f"}

var afternoons = []string{"pm", "p.m.", "下午", "오후", "午後", "\xcf\xc2\xce\xe7", "\xa4\x55\xa4\xc8", "\xbf\xc0\xc8\xc4", "\x8c\xdf\x8c\xe3"}

// half takes the next word if it tells the half of the day. In Spanish a blank may stand within, of any kind.
func (c *columns) half() (afternoon, ok bool) {
	after := *c
	word := after.next()
	if len(word) == 2 && word[1] == '.' {
		word += after.next()
	}
	for _, blank := range [...]string{"\u00a0", "\u202f", "\xa0", "\xff"} {
		if letter, rest, found := strings.Cut(word, "."+blank); found {
			word = letter + "." + rest
			break
		}
	}
	if isASCII(word) {
		word = strings.ToLower(word)
	}
	afternoon = slices.Contains(afternoons, word)
	if ok = afternoon || slices.Contains(mornings, word); ok {
		*c = after
	}
	return afternoon, ok
}

// dosType reads "<DIR>" and its like.
func dosType(word string) (Type, bool) {
	if len(word) < 3 || word[0] != '<' || word[len(word)-1] != '>' {
		return Other, false
	}
	switch strings.ToUpper(word[1 : len(word)-1]) {
	case "DIR", "REP":
		return Dir, true
	case "JUNCTION", "SYMLINKD", "SYMLINK":
		return Link, true
	}
	return Other, true
}

// dosTarget splits "name [target]". With more than one bracket nothing tells where the name ends.
func dosTarget(entry Entry) (Entry, verdict) {
	if entry.Type != Link || !strings.HasSuffix(entry.Name, "]") {
		return entry, accepted
	}
	name, target, found := strings.Cut(entry.Name[:len(entry.Name)-1], " [")
	if strings.Contains(target, " [") {
		return Entry{}, rejected
	}
	if found {
		entry.Name, entry.Target = name, target
	}
	return entry, accepted
}

// groupedSize reads a number which may have marks between its groups of three digits.
func groupedSize(word string) (int64, bool) {
	if size, ok := decimal(word); ok {
		return size, true
	}
	if digits, ok := strings.CutPrefix(word, "-"); ok {
		_, ok := decimal(digits) // a size that was too large for 32 bits
		return -1, ok
	}
	const longest = 40
	if len(word) > longest {
		return -1, false
	}
	for _, mark := range [...]string{",", ".", "'", "\u00a0", "\u202f", "\xa0", "\xff"} {
		if first, rest, found := strings.Cut(word, mark); found {
			for group := range strings.SplitSeq(rest, mark) {
				if len(group) != 3 || len(first) == 0 {
					return -1, false
				}
			}
			if len(first) <= 3 {
				return decimal(strings.ReplaceAll(word, mark, ""))
			}
		}
	}
	return -1, false
}

// isDOSHead knows the lines that DIR writes around its entries.
func isDOSHead(line string) bool {
	if line == "" || line[0] != ' ' {
		return false
	}
	c := columns{line: line}
	first, second := c.next(), c.next()
	switch {
	case first == "Volume":
		return second == "in" && c.next() == "drive" || second == "Serial" && c.next() == "Number"
	case first == "Directory":
		path := c.next()
		return second == "of" && len(path) > 2 && isLetter(path[0]) && path[1:3] == `:\`
	}
	_, isCount := groupedSize(first)
	return isCount && (second == "File(s)" || second == "Dir(s)")
}

// isForeignHead knows them in other languages, by the name of the drive, its serial number, the path of the folder, or
// a number of bytes. They begin with a blank, which no entry does. Since the text of an error may be alike, entries must
// have come before, or come next.
func isForeignHead(line string, r *reading) bool {
	if line == "" || line[0] != ' ' {
		return false
	}
	c := columns{line: line}
	word := c.next()
	if _, isCount := groupedSize(word); isCount {
		return r.headed && c.hasBytes()
	}
	count, isVolume, isDrive, isRoot, isPath, last := 0, false, false, false, false, ""
	for ; word != ""; word = c.next() {
		hasDrive := isUpper(word[0]) && (len(word) == 1 || word[1] == ':')
		isDrive = isDrive || hasDrive && len(word) == 1
		isRoot = isRoot || hasDrive && len(word) == 2
		isPath = isPath || hasDrive && len(word) > 2 && word[2] == '\\'
		isVolume = isVolume || slices.Contains(volumeWords, strings.ToLower(word))
		last = word
		count++
	}
	isSerial := len(last) == len("1234-ABCD") && last[4] == '-' && isAll(last[:4], isHex) && isAll(last[5:], isHex)
	isHead := count >= 2 && (isPath || isSerial) || count >= 4 && (isRoot || isVolume && isDrive)
	return isHead && (r.headed || r.entryFollows())
}

// entryFollows reports whether the next lines are heads and then one that begins as an entry does.
func (r *reading) entryFollows() bool {
	const mostHeads = 6
	after := r.after
	for range mostHeads {
		var line string
		line, after, _ = strings.Cut(after, "\n")
		if line = strings.TrimSuffix(line, "\r"); line == "" || line[0] == ' ' {
			continue
		}
		c := columns{line: line}
		_, _, ok := c.dosDate()
		return ok
	}
	return false
}

// volumeWords are those of the languages that name the drive without a colon.
var volumeWords = []string{"volume", "volumen", "volumenaam", "volymen", "wolumin", "volum"}

// hasBytes reports whether a number of bytes follows, in the languages of Windows.
func (c *columns) hasBytes() bool {
	isNumber := false
	for word := c.next(); word != ""; word = c.next() {
		unit := strings.ToLower(strings.TrimRight(word, ",."))
		if isNumber && slices.ContainsFunc(byteWords, func(known string) bool { return strings.HasPrefix(unit, known) }) {
			return true
		}
		_, isNumber = groupedSize(word)
	}
	return false
}

var byteWords = []string{"byte", "octet", "bajt", "bájt", "tavu", "bayt", "байт", "字节", "位元組", "バイト", "바이트"}
