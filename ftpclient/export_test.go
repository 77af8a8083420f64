package ftpclient

// LimitListing sets the size at which a listing counts as hostile.
func (c *Conn) LimitListing(bytes int64) { c.listingLimit = bytes }
