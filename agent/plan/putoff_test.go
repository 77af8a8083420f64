package plan

import (
	"testing"
	"time"
)

func TestPutOff(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const no, longest = time.Duration(-1), 2 * time.Minute
	for sentence, row := range map[string]struct {
		code string
		told Told
		want time.Duration // until then; no: it halts
	}{
		"a folder has just been emptied":                        {HaltRootEmpty, Told{Watched: true}, AgainAfter},
		"a folder has just gone":                                {HaltRootMissing, Told{Watched: true}, AgainAfter},
		"many files have just gone":                             {HaltMaxDelete, Told{Watched: true}, AgainAfter},
		"they have been gone for a while":                       {HaltMaxDelete, Told{Watched: true, Since: ago(time.Minute)}, AgainAfter},
		"they have been gone for almost as long as is waited":   {HaltMaxDelete, Told{Watched: true, Since: ago(longest - time.Second)}, time.Second},
		"they have been gone for as long as is waited":          {HaltMaxDelete, Told{Watched: true, Since: ago(longest)}, no},
		"they have been gone for hours":                         {HaltMaxDelete, Told{Watched: true, Since: ago(5 * time.Hour)}, no},
		"a look takes long":                                     {HaltRootEmpty, Told{Watched: true, Took: time.Minute}, time.Minute},
		"a look takes longer than is waited":                    {HaltRootEmpty, Told{Watched: true, Took: time.Hour}, longest},
		"a look takes long, and there is less time left":        {HaltRootEmpty, Told{Watched: true, Since: ago(90 * time.Second), Took: time.Hour}, 30 * time.Second},
		"a person, a clock or a start has asked":                {HaltMaxDelete, Told{}, no},
		"a person has asked while a halt was put off":           {HaltMaxDelete, Told{Since: ago(time.Second)}, no},
		"the clock was set back meanwhile":                      {HaltMaxDelete, Told{Watched: true, Since: now.Add(time.Second)}, no},
		"another disk is there":                                 {HaltOtherDevice, Told{Watched: true}, no},
		"another disk is there after a while":                   {HaltOtherDevice, Told{Watched: true, Since: ago(time.Second)}, no},
		"the marker is missing":                                 {HaltMarker, Told{Watched: true}, no},
		"it is the first contact":                               {HaltFirstContact, Told{Watched: true}, no},
		"all times have moved":                                  {HaltTimeShift, Told{Watched: true}, no},
		"a folder holds other files than before":                {HaltOtherContent, Told{Watched: true}, no},
		"a folder that was empty is filled, so far with others": {HaltOtherContent, Told{Watched: true, Since: ago(time.Second)}, AgainAfter},
		"what filled it are others":                             {HaltOtherContent, Told{Watched: true, Since: ago(longest)}, no},
		"nobody knows that halt":                                {"news", Told{Watched: true}, no},
	} {
		t.Run(sentence, func(t *testing.T) {
			until, ok := PutOff(Halt{Code: row.code}, row.told, longest, now)
			got := no
			if ok {
				got = until.Sub(now)
			}
			if got != row.want {
				t.Errorf("waits for %v, want %v", got, row.want)
			}
		})
	}
}

// TestAHaltForADiskIsPutOff only if nothing is there, as below a disk that is not mounted: nobody waits for the content of another one.
func TestAHaltForADiskIsPutOff(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for root, want := range map[Root]bool{RootEmpty: true, RootFilled: false} {
		halt := Guard(Totals{Known: 9, OtherDevice: "tmpfs, was ext4", Local: root}, Limits{})
		if halt == nil || halt.Code != HaltOtherDevice {
			t.Fatalf("%+v", halt)
		}
		if _, ok := PutOff(*halt, Told{Watched: true}, LongestPutOff, now); ok != want {
			t.Errorf("root %d: put off: %v", root, ok)
		}
	}
}
