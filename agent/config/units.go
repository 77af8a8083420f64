package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// ParseDuration is time.ParseDuration that knows days ("90d", "1d12h"), of 24 hours each. They come first and are whole.
func ParseDuration(text string) (time.Duration, error) {
	number, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		return time.ParseDuration(text)
	}
	days, err := strconv.ParseUint(number, 10, 32)
	if err != nil || days > uint64(math.MaxInt64/day) {
		return 0, fmt.Errorf("%q is not a whole number of days, or too many", number)
	}
	d := time.Duration(days) * day
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	switch {
	case err != nil:
		return 0, err
	case more < 0 || rest[0] == '+' || d+more < d:
		return 0, fmt.Errorf("%q cannot follow days", rest)
	}
	return d + more, nil
}

// duration is a time.Duration written as a string with units.
type duration time.Duration

func (d *duration) set(value any) string {
	const form = `a number with a unit in quotes, such as "5s", "1m30s", "24h" or "90d"`
	switch v := value.(type) {
	case string:
		parsed, err := ParseDuration(v)
		if err != nil {
			return fmt.Sprintf("%q is not a duration: write %s", v, form)
		}
		*d = duration(parsed)
		return ""
	case int64:
		return fmt.Sprintf(`%d has no unit: write "%ds" if seconds are meant`, v, v)
	}
	return fmt.Sprintf("must be %s, not %s", form, kindOf(value))
}

// size is a number of bytes written as a string with a unit; "" is 0.
type size int64

// sizeUnits are the units of sizes. Those with an i are powers of 1024, the others powers of 1000.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1}, // the last one, as the others end with it
}

func (s *size) set(value any) string {
	const form = `a whole number with a unit in quotes, such as "512MiB" or "4GiB"`
	switch v := value.(type) {
	case string:
		if v == "" {
			*s = 0
			return ""
		}
		for _, unit := range sizeUnits {
			number, ok := strings.CutSuffix(v, unit.name)
			if !ok {
				continue
			}
			n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 63)
			if err != nil || int64(n) > math.MaxInt64/unit.bytes {
				break
			}
			*s = size(int64(n) * unit.bytes)
			return ""
		}
		return fmt.Sprintf("%q is not a size: write %s", v, form)
	case int64:
		return fmt.Sprintf(`%d has no unit: write "%dMiB" if mebibytes are meant`, v, v)
	}
	return fmt.Sprintf("must be %s, not %s", form, kindOf(value))
}
