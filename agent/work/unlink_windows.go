package work

// canUnlinkOpen: a file that is open keeps its name.
const canUnlinkOpen = false
