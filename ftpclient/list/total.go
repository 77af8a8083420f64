package list

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// totalWords is how ls says "total" in the languages it speaks, in lower case, and in the encodings with two bytes for a letter.
var totalWords = []string{
	"total", "insgesamt", "gesamt", "totaal", "totalt", "totale", "totalo", "итого", "всего", "загалом", "усяго", "общо",
	"укупно", "razem", "celkem", "celkom", "skupno", "sveukupno", "ukupno", "összesen", "yhteensä", "kokku", "viso", "kopā",
	"toplam", "σύνολο", "guztira", "jumlah", "tổng", "iomlán", "总用量", "总计", "總計", "總用量", "合計", "합계",
	"\xd7\xdc\xd3\xc3\xc1\xbf", "\xd7\xdc\xbc\xc6", // 总用量, 总计 in GBK
	"\xc1\x60\xad\x70", "\xc1\x60\xa5\xce\xb6\x71", // 總計, 總用量 in Big5
	"\x8d\x87\x8c\x76", "\xb9\xe7\xb7\xd7", // 合計 in Shift-JIS and EUC-JP
	"\xc7\xd5\xb0\xe8", // 합계 in EUC-KR
}

// isTotal reports whether a line is the head of ls -l output: "total 12", "total 4.0K", "insgesamt 12".
func isTotal(line string) bool {
	const longest = 40
	if len(line) > longest {
		return false
	}
	word, blocks, _ := strings.Cut(line, " ")
	blocks = strings.TrimLeft(blocks, " ")
	if blocks == "" || !isDigit(blocks[0]) {
		return false
	}
	if unit := strings.TrimLeft(blocks, "0123456789.,"); len(unit) > 1 || !strings.Contains("kKMGTP", unit) {
		return false
	}
	word = strings.TrimSuffix(word, ":")
	if utf8.ValidString(word) {
		return slices.Contains(totalWords, strings.ToLower(word))
	}
	return slices.Contains(totalWords, word) || slices.ContainsFunc(legacyEncodings[:], func(encoding *charmap.Charmap) bool {
		return slices.Contains(totalWords, decode(encoding, word))
	})
}
