package ftpclient

// LimitListing sets the size at which a listing counts as hostile.
func (c *Conn) LimitListing(bytes int64) { c.listingLimit = bytes }

// SetServer sets what kind of server this is taken for.
func (c *Conn) SetServer(kind string) { c.facts.Server = kind }

// System is the answer to SYST.
func (c *Conn) System() string { return c.system }
