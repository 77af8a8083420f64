package list

import "strings"

// trimBlanks takes the blanks off both ends.
func trimBlanks(s string) string { return strings.Trim(s, " \t") }

func isBlankAt(s string, at int) bool { return at < len(s) && (s[at] == ' ' || s[at] == '\t') }

// afterBlank returns what follows the one blank at a position.
func afterBlank(s string, at int) (string, bool) {
	if !isBlankAt(s, at) {
		return "", false
	}
	return s[at+1:], true
}

// field returns the next word at or behind a position, and where it ends.
func field(s string, at int) (word string, end int) {
	for isBlankAt(s, at) {
		at++
	}
	end = at
	for end < len(s) && s[end] != ' ' && s[end] != '\t' {
		end++
	}
	return s[at:end], end
}

// columns walks over the words of a line.
type columns struct {
	line string
	at   int
}

// next returns the next word, "" at the end of the line.
func (c *columns) next() (word string) {
	word, c.at = field(c.line, c.at)
	return word
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

func isHex(c byte) bool { return isDigit(c) || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f' }
