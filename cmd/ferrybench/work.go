package main

// work is one workload.
type work struct {
	name, about string
	tree        func() tree
	down        bool  // from the server; else to it
	unchanged   bool  // both sides hold it already
	recheck     bool  // who remembers what the server holds looks at it all the same
	lines       []int // round trips in ms, for -all
}

func small() tree  { return evenTree("1000 files of 4 KiB in 50 folders", 50, 1000, 4<<10) }
func many() tree   { return evenTree("10000 files of 1 KiB in 50 folders", 50, 10000, 1<<10) }
func few() tree    { return evenTree("200 files of 4 KiB in 10 folders", 10, 200, 4<<10) }
func large() tree  { return evenTree("1 file of 1 GiB", 1, 1, 1<<30) }
func medium() tree { return evenTree("1 file of 100 MiB", 1, 1, 100<<20) }
func mixed() tree  { return mixedTree("300 files of 0 to 4 MiB in 8 folders", 300, 4<<20) }
func tiny() tree   { return evenTree("5 files of 4 KiB in 2 folders", 2, 5, 4<<10) }

// works are all workloads, in the order of the report.
var works = []work{
	{name: "U5", about: "5 files of 4 KiB up: does it work?", tree: tiny},
	{name: "U200", about: "200 files of 4 KiB in 10 folders up", tree: few},
	{name: "D200", about: "the same down", tree: few, down: true},
	{name: "N200", about: "the same on both sides, nothing has changed", tree: few, unchanged: true},
	{name: "U1k", about: "1,000 files of 4 KiB in 50 folders up", tree: small, lines: []int{0, 20, 100}},
	{name: "D1k", about: "the same down", tree: small, down: true, lines: []int{0, 20, 100}},
	{name: "U10k", about: "10,000 files of 1 KiB in 50 folders up", tree: many, lines: []int{0}},
	{name: "N10k", about: "the same, nothing has changed", tree: many, unchanged: true, lines: []int{0, 100}},
	{name: "R10k", about: "the same, and the server is looked at by those who would not", tree: many, unchanged: true, recheck: true, lines: []int{0, 100}},
	{name: "B1u", about: "1 GiB up", tree: large, lines: []int{0}},
	{name: "B1d", about: "1 GiB down", tree: large, down: true, lines: []int{0}},
	{name: "B100u", about: "100 MiB up", tree: medium, lines: []int{100}},
	{name: "B100d", about: "100 MiB down", tree: medium, down: true, lines: []int{100}},
	{name: "Mu", about: "300 files of 0 to 4 MiB up", tree: mixed, lines: []int{0, 20}},
	{name: "Md", about: "the same down", tree: mixed, down: true, lines: []int{0, 20}},
}
