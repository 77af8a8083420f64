package agent

import (
	"math/rand/v2"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
)

// drawPolls has the server polled in some simulations. Its folders have times that follow every change in them, or every one but those
// in place, or none.
func (s *simulation) drawPolls() {
	random := rand.New(rand.NewPCG(s.seed, 8)) // its own, so that all else is as it was
	if s.sync.Direction == config.Up || random.IntN(2) == 0 {
		return
	}
	s.sync.Poll = 5 * time.Minute
	for _, site := range s.sites {
		site.server.Abilities.FolderTimes = random.IntN(4) > 0
		if random.IntN(4) == 0 {
			site.server.Lie()
		}
	}
}

// trustTimes makes the agent believe that it has learned to trust the times of folders, right or wrong.
func (s *simulation) trustTimes() {
	if s.sync.Poll <= 0 {
		return
	}
	err := s.db.Update(func(tx *state.Tx) error {
		for _, site := range s.sites {
			row, err := state.GetSync(tx, site.member)
			if err != nil {
				return err
			}
			if row.Folders.Against == "" {
				row.Folders.For = 3
			}
			if err := state.PutSync(tx, site.member, row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// polls has the server polled for a while, in which people go on.
func (s *simulation) polls() {
	if s.sync.Poll <= 0 {
		return
	}
	s.agent(func(a *Agent) {
		for i := range 6 {
			if i > 2 {
				s.edit(1, true, true)
			}
			for _, site := range s.sites {
				err := s.live.Load().emit(s.t.Context(), trigger.Event{Sync: site.member, Why: "poll", Regular: true, Poll: true})
				if err != nil {
					s.t.Fatal(err)
				}
			}
			time.Sleep(s.sync.Poll)
		}
		for _, site := range s.sites {
			list, err := s.timesOf(site.member)
			if err != nil {
				s.t.Fatal(err)
			}
			s.spared += list.Spared
		}
	})
}

func (s *simulation) timesOf(sync string) (learned state.FolderTimes, err error) {
	err = s.db.View(func(tx *state.Tx) error {
		row, err := state.GetSync(tx, sync)
		learned = row.Folders
		return err
	})
	return learned, err
}
