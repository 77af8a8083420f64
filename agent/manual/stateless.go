package manual

import (
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// stateless is what is known about a file that is no part of a sync: nothing but the source, to which alone the temporary names
// belong that are gone on with.
type stateless struct {
	source entry.Entry
	action plan.Action
}

func (s stateless) Intents(string) ([]state.Intent, error) {
	return []state.Intent{{Source: s.source, Down: s.action == plan.Download}}, nil
}

func (stateless) Children(string) ([]state.Baseline, error)               { return nil, nil }
func (stateless) At(string) (*state.Baseline, error)                      { return nil, nil }
func (stateless) After([]byte, int) ([]state.BaselineRow, error)          { return nil, nil }
func (stateless) Count() (int, error)                                     { return 0, nil }
func (stateless) Appended(string) (*state.Appended, error)                { return nil, nil }
func (stateless) Dirty(int) ([]state.Dirty, error)                        { return nil, nil }
func (stateless) Mark() (uint64, error)                                   { return 0, nil }
func (stateless) Folders() (state.FolderTimes, error)                     { return state.FolderTimes{}, nil }
func (stateless) Folder(string) (row state.Folder, known bool, err error) { return row, false, nil }
func (stateless) Live(uint64, int) bool                                   { return false }

func (stateless) Different(string, entry.Entry, entry.Entry) (bool, error) { return false, nil }

func (stateless) Identified(state.Side, entry.Entry, int) ([]string, error) { return nil, nil }
