package config

import (
	"fmt"
	"strconv"
	"strings"
)

// fewDeletes is the number of deletes that no percentage stops: in a folder of five files, removing one is no disaster.
const fewDeletes = 10

// MaxDelete is the largest number of deletes that one pass of a sync may do without a person's approval.
type MaxDelete struct {
	Percent   float64 // of the files known from the last pass, 0 to 100; when IsPercent
	Count     int     // >= 0; when not IsPercent
	IsPercent bool
}

// Allows reports whether a pass may do this many deletes when known files were there after the last one. A percentage
// never stops fewer than 10 deletes; a count is exact.
func (m MaxDelete) Allows(deletes, known int) bool {
	if !m.IsPercent {
		return deletes <= m.Count
	}
	// Multiplied out: 29% of 100 is 28.999999999999996 otherwise.
	return deletes < fewDeletes || float64(deletes)*100 <= m.Percent*float64(known)
}

// String is the form used in the file: 10% or 500.
func (m MaxDelete) String() string {
	if m.IsPercent {
		return strconv.FormatFloat(m.Percent, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(m.Count)
}

func (m *MaxDelete) set(value any) string {
	const forms = `a percentage such as "10%" or a whole number of files such as 500`
	switch v := value.(type) {
	case int64:
		if v < 0 || int64(int(v)) != v {
			return fmt.Sprintf("%d is out of range: write %s", v, forms)
		}
		*m = MaxDelete{Count: int(v)}
		return ""
	case string:
		number, isPercent := strings.CutSuffix(v, "%")
		percent, err := strconv.ParseFloat(number, 64)
		switch {
		case !isPercent && err == nil:
			return fmt.Sprintf("%q is neither: write %s, the number without quotes", v, forms)
		case !isPercent || err != nil:
			return fmt.Sprintf("%q is not understood: write %s", v, forms)
		case !(percent >= 0 && percent <= 100): // also true for NaN
			return fmt.Sprintf("%q is out of range: a percentage is between 0%% and 100%%", v)
		}
		*m = MaxDelete{Percent: percent, IsPercent: true}
		return ""
	}
	return fmt.Sprintf("must be %s, not %s", forms, kindOf(value))
}
