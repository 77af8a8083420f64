package ftpclient

// LimitListing sets the size at which a listing counts as hostile.
func (c *Conn) LimitListing(bytes int64) { c.listingLimit = bytes }

// System is the answer to SYST.
func (c *Conn) System() string { return c.system }
