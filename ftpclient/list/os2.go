package list

import "strings"

// readOS2 reads the format of IBM's server for OS/2:
//
//	    0           DIR   04-11-95   16:26  ADDRESS
//	  612      RHSA       07-28-95   16:45  air_tra1.bag
//	36611      A         04-23-103   10:57  after 1999.txt
//
// Sources: the comments of Mozilla's parser and of mirror.pl. The month comes first always. Two blanks stand before the
// name.
func readOS2(line string, r *reading) (Entry, verdict) {
	c := columns{line: line}
	size, ok := decimal(c.next())
	entry := Entry{Type: File, Size: size}
	word := c.next()
	for ; ok && word != "" && !isDigit(word[0]); word = c.next() {
		isAttribute := func(c byte) bool { return strings.IndexByte("ARHS", c) >= 0 }
		if word == "DIR" {
			entry.Type = Dir
		} else if len(word) > 4 || !isAll(word, isAttribute) {
			return Entry{}, rejected
		}
	}
	parts, separator, okDate := threeNumbers(word)
	year, month, day, isDay := inOrder(parts, monthDayYear)
	t, okTime := clockTime(c.next())
	if !ok || !okDate || separator != '-' || !isDay || !okTime {
		return Entry{}, rejected
	}
	entry.setTime(year, month, day, t, r.Options)
	entry.Name = strings.TrimPrefix(c.name(), " ")
	return entry, accepted
}
