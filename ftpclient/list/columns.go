package list

import (
	"strings"
	"time"
)

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trimBlanks takes the blanks off both ends.
func trimBlanks(s string) string { return strings.Trim(s, " \t") }

// columns walks over the words of a line.
type columns struct {
	line string
	at   int
}

// next returns the next word, "" at the end of the line.
func (c *columns) next() string {
	for c.at < len(c.line) && isBlank(c.line[c.at]) {
		c.at++
	}
	start := c.at
	for c.at < len(c.line) && !isBlank(c.line[c.at]) {
		c.at++
	}
	return c.line[start:c.at]
}

// rest is what follows the last word, beginning with the blank behind it.
func (c *columns) rest() string { return c.line[c.at:] }

// name is the rest without the one blank that stands before it.
func (c *columns) name() string {
	if c.at == len(c.line) {
		return ""
	}
	return c.line[c.at+1:]
}

// wordsAtMost bounds what is looked at of a line that consists of words alone. No such line has more.
const wordsAtMost = 16

// splitWords puts the words of a line into the array and returns how many there are; false if there are more.
func splitWords(line string, words *[wordsAtMost]string) ([]string, bool) {
	c := columns{line: line}
	for i := range words {
		if words[i] = c.next(); words[i] == "" {
			return words[:i], true
		}
	}
	return nil, false
}

// isHead reports whether a line consists of these words, as the head of a table does.
func isHead(line string, titles ...string) bool {
	c := columns{line: line}
	for _, title := range titles {
		if c.next() != title {
			return false
		}
	}
	return c.next() == ""
}

// isRule reports whether a line only underlines the head of a table.
func isRule(line string) bool {
	return strings.Trim(line, "- \t") == "" && strings.Contains(line, "---")
}

// isAll reports whether a word is not empty and all its bytes are of a kind.
func isAll(word string, kind func(c byte) bool) bool {
	for i := range len(word) {
		if !kind(word[i]) {
			return false
		}
	}
	return word != ""
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func isLatin(c byte) bool { return isUpper(c &^ 0x20) }

func isHex(c byte) bool { return isDigit(c) || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f' }

// hexadecimal reads a number of at most eight digits.
func hexadecimal(word string) (int64, bool) {
	if len(word) > 8 || !isAll(word, isHex) {
		return 0, false
	}
	var n int64
	for i := range len(word) {
		digit := int64(word[i] - '0')
		if !isDigit(word[i]) {
			digit = int64(word[i]&^0x20-'A') + 10
		}
		n = n<<4 | digit
	}
	return n, true
}

// octal reads the bits of a Unix mode, of at most seven digits.
func octal(word string) (int64, bool) {
	if len(word) > 7 || !isAll(word, func(c byte) bool { return '0' <= c && c <= '7' }) {
		return 0, false
	}
	var n int64
	for i := range len(word) {
		n = n<<3 | int64(word[i]-'0')
	}
	return n, true
}

// dayTime is a time of day, and the unit to which it is known.
type dayTime struct {
	time.Duration
	precision Precision
}

// clockTime reads "15:04", "15:04:05" and "15:04:05.67"; some systems put dots or commas for the colons.
func clockTime(word string) (t dayTime, ok bool) {
	unit, limit := time.Hour, 25
	for count := 0; ; count++ {
		end := 0
		for end < len(word) && isDigit(word[end]) {
			end++
		}
		if count == 3 {
			return addDecimals(t, word[:end], end == len(word))
		}
		n, isNumber := number(word[:end], 2)
		if !isNumber || n >= limit || count > 0 && end != 2 {
			return t, false
		}
		t.Duration += time.Duration(n) * unit
		t.precision = unit
		if end == len(word) {
			return t, count > 0 && t.Duration <= Day
		}
		if c := word[end]; c != ':' && c != '.' && c != ',' {
			return t, false
		}
		word, unit, limit = word[end+1:], unit/60, 60
	}
}

// addDecimals adds the decimals of a second.
func addDecimals(t dayTime, digits string, atEnd bool) (dayTime, bool) {
	if digits == "" || len(digits) > 9 || !atEnd {
		return t, false
	}
	for i := range len(digits) {
		t.precision /= 10
		t.Duration += time.Duration(digits[i]-'0') * t.precision
	}
	return t, true
}

// setTime gives an entry its time, which stays unknown where the server had none.
func (entry *Entry) setTime(year int, month time.Month, day int, t dayTime, o *Options) {
	if isKnown(year) {
		seconds := int(t.Duration / time.Second)
		wall := time.Date(year, month, day, seconds/3600, seconds/60%60, seconds%60, int(t.Duration%time.Second), o.Location)
		entry.ModTime, entry.Precision = wall.UTC(), t.precision
	}
}

// yearOf completes a year of two digits, and repairs one of three, which counts from 1900.
func yearOf(word string) (int, bool) {
	year, ok := number(word, 4)
	switch {
	case !ok || len(word) < 2 || len(word) == 3 && year >= 200:
		return 0, false
	case len(word) == 4:
		return year, true
	case len(word) == 2 && year < 70:
		return 2000 + year, true
	}
	return 1900 + year, true
}

// namedDate reads "31-JAN-2024" and, with the month first, "Jan-31-2024". A month in another language leaves the time
// unknown: the month is 0.
func namedDate(word string, monthFirst bool) (year int, month time.Month, day int, ok bool) {
	first, rest, _ := strings.Cut(word, "-")
	second, last, _ := strings.Cut(rest, "-")
	if monthFirst {
		first, second = second, first
	}
	day, okDay := number(first, 2)
	year, okYear := yearOf(last)
	if !okDay || !okYear || len(second) < 3 || len(second) > 12 || isDigit(second[0]) {
		return 0, 0, 0, false
	}
	if len(second) == 3 {
		month, _ = englishMonth(second)
	}
	if month == 0 {
		return year, 0, day, isAll(second, func(c byte) bool { return isLatin(c) || c >= 0x80 || c == '.' })
	}
	return year, month, day, isDate(year, month, day)
}
