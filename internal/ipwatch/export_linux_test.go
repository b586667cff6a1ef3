package ipwatch

// ParseRouteReply is for the fuzz target.
var ParseRouteReply = parseRouteReply
