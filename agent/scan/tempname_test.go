package scan

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTempName(t *testing.T) {
	for _, test := range []struct{ name, of, want string }{
		{"a name", "report.pdf", ".report.pdf.ftpferry-0badcafe-2a.3"},
		{"a hidden name", ".profile", "..profile.ftpferry-0badcafe-2a.3"},
		{"a temporary name's own", ".x.ftpferry-0badcafe-1", "..x.ftpferry-0badcafe-1.ftpferry-0badcafe-2a.3"},
		{"a name with blanks and line ends", " a\n", ". a\n.ftpferry-0badcafe-2a.3"},
	} {
		if got := TempName(test.of, "0badcafe", 42, 3); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestTempNameStaysShort(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{
		strings.Repeat("a", 200), strings.Repeat("a", 229), strings.Repeat("a", 230), strings.Repeat("a", 255), strings.Repeat("a", 254) + "b",
		strings.Repeat("ü", 127), strings.Repeat("日", 85), strings.Repeat("x", 4000),
	} {
		for _, job := range []uint64{1, math.MaxUint64} {
			temp := TempName(name, "0badcafe", job, 3)
			if len(temp) > maxName {
				t.Errorf("the temporary name of one of %d bytes has %d", len(name), len(temp))
			}
			if !utf8.ValidString(temp) {
				t.Errorf("%q was cut in the middle of a character", temp)
			}
			if instance, got, ok := ParseTempName(temp); !ok || instance != "0badcafe" || got != job {
				t.Errorf("ParseTempName(%q) = %q, %d, %v", temp, instance, got, ok)
			}
			if seen[temp] {
				t.Errorf("two names share %q", temp)
			}
			seen[temp] = true
		}
	}
	for i := range 1000 {
		temp := TempName(strings.Repeat("a", 250)+strconv.Itoa(i), "0badcafe", 1, 3)
		if seen[temp] {
			t.Fatalf("two names share %q", temp)
		}
		seen[temp] = true
	}
	if full := TempName(strings.Repeat("a", 225), "0badcafe", 0xffff, 3); len(full) > maxName || !strings.Contains(full, "aaa") {
		t.Errorf("a name that fits was shortened to %q", full)
	}
}

func TestParseTempName(t *testing.T) {
	for _, test := range []struct {
		name, of string
		instance string
		job      uint64
		ok       bool
	}{
		{"as it is made", ".a.ftpferry-0badcafe-2a", "0badcafe", 42, true},
		{"for a server that refuses leading dots", WithoutDot(TempName("a", "0badcafe", 42, 3)), "0badcafe", 42, true},
		{"with a prefix and a suffix", TempForm{"upload_", "~part"}.Name("a", "0badcafe", 42, 3), "0badcafe", 42, true},
		{"with a suffix that looks like a file's", TempForm{"", ".tmp"}.Name("a.txt", "0badcafe", 42, 3), "0badcafe", 42, true},
		{"an attempt that is no number", ".a.ftpferry-0badcafe-1..3", "", 0, false},
		{"an attempt that is too big", ".a.ftpferry-0badcafe-1.4294967296", "", 0, false},
		{"the last mark counts", ".x.ftpferry-0badcafe-1.ftpferry-12345678-2", "12345678", 2, true},
		{"a file", "report.pdf", "", 0, false},
		{"nothing", "", "", 0, false},
		{"a name of the mark alone", ".ftpferry-0badcafe-2a", "", 0, false},
		{"a file about it", "notes.ftpferry-howto-1", "", 0, false},
		{"an instance that is too short", ".a.ftpferry-badcafe-1", "", 0, false},
		{"an instance that is too long", ".a.ftpferry-0badcafe0-1", "", 0, false},
		{"an instance that is no number", ".a.ftpferry-zbadcafe-1", "", 0, false},
		{"an instance with a sign", ".a.ftpferry-+badcafe-1", "", 0, false},
		{"no job", ".a.ftpferry-0badcafe-", "", 0, false},
		{"no job and no dash", ".a.ftpferry-0badcafe", "", 0, false},
		{"a job that is no number", ".a.ftpferry-0badcafe-1.txt", "", 0, false},
		{"a job with a sign", ".a.ftpferry-0badcafe-+1", "", 0, false},
		{"a job that is too big", ".a.ftpferry-0badcafe-10000000000000000", "", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			instance, job, ok := ParseTempName(test.of)
			if ok != test.ok || ok && (instance != test.instance || job != test.job) {
				t.Errorf("ParseTempName(%q) = %q, %d, %v", test.of, instance, job, ok)
			}
			for _, rel := range []string{test.of, "a/b/" + test.of} {
				if IsTemp(rel) != test.ok {
					t.Errorf("IsTemp(%q) = %v", rel, !test.ok)
				}
			}
		})
	}
	if IsTemp(".a.ftpferry-0badcafe-1/b") {
		t.Error("a file in a folder of such a name is no temporary one")
	}
}

func FuzzTempName(f *testing.F) {
	f.Add("a.txt", uint32(0xbadcafe), uint64(1))
	f.Add(strings.Repeat("日", 90), uint32(0), uint64(math.MaxUint64))
	f.Add(".ftpferry-0badcafe-1", uint32(1), uint64(0))
	f.Fuzz(func(t *testing.T, name string, number uint32, job uint64) {
		ParseTempName(name)
		if name == "" {
			return
		}
		const digits = "0123456789abcdef"
		instance := make([]byte, 8)
		for i := range instance {
			instance[i] = digits[number>>(4*i)&15]
		}
		temp := TempName(name, string(instance), job, 3)
		for _, form := range []string{temp, WithoutDot(temp), TempForm{"x-", ".part"}.Name(name, string(instance), job, 3)} {
			gotInstance, gotJob, ok := ParseTempName(form)
			if !ok || gotInstance != string(instance) || gotJob != job || len(form) > maxName {
				t.Errorf("%q of %q: %q, %d, %v", form, name, gotInstance, gotJob, ok)
			}
		}
	})
}
